"""The routes and answers that endpoints are made of, and what every write answers."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from shared.events.envelope import Event
from shared.log.store import IdempotencyRecord
from shared.runtime.problems import Problem


class EarlyRoute(APIRoute):
    """A route that is tried before all others, since it is asked most: each route tried in vain costs some
    microseconds."""


class PlainRoute(EarlyRoute):
    """A route whose endpoint takes the request and gives the response: nothing is declared, so that nothing has to be
    resolved, which costs a small request a fifth of its time. `plain.Plain` answers such routes before the router."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return self.endpoint


class Answer(JSONResponse):
    """A JSON answer; datetimes as RFC 3339 with `Z`, NaN as null."""

    def render(self, content: Any) -> bytes:
        return encoded(content)


class Json(Response):
    """An answer that is JSON already, with no further headers: what a plain response does once more for each request
    is left out."""

    def __init__(self, body: bytes) -> None:
        self.body, self.status_code, self.background = body, 200, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def encoded(content: Any) -> bytes:
    """JSON bytes of an answer."""
    return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY)


def described(events: Sequence[Event]) -> dict[str, Any]:
    """What every write answers about the events it stated."""
    first, last = events[0], events[-1]
    return {
        "id": first.id,
        "event_id": first.id,
        "sequence": last.sequence,
        "type": first.type,
        "events": [{"id": event.id, "type": event.type, "sequence": event.sequence} for event in events],
    }


def replayed(kept: IdempotencyRecord, digest: str) -> JSONResponse:
    """The kept answer. Raises Problem 422 where the request was another one."""
    if kept.digest != digest:
        detail = "This Idempotency-Key came before with another request."
        raise Problem(422, "idempotency-key-reused", detail, "Use a new key for a new request.")
    response = Answer(None, kept.status, headers={"Idempotent-Replayed": "true"})
    response.body = kept.body
    response.headers["content-length"] = str(len(kept.body))
    return response


def contended() -> Problem:
    """The answer where others were faster again and again."""
    detail = "Others kept changing the same thing first; nothing was written."
    return Problem(409, "contended", detail, "Try again.")


def in_flight() -> Problem:
    """The answer while a request with the same key has not ended."""
    detail = "A request with this Idempotency-Key has not ended yet."
    return Problem(409, "request-in-flight", detail, "Try again in a moment.", headers={"Retry-After": "1"})
