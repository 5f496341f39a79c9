"""The outermost layer of every app, as one plain ASGI middleware: request ids, limits, figures, and the last word on
errors. Pure ASGI, since it stands in the way of every prediction."""

import re
import zlib
from time import perf_counter
from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.answers import problem_response
from shared.runtime.commands import new_id
from shared.runtime.observability import Gauges, request_state
from shared.runtime.problems import Problem
from shared.runtime.scopes import keep_body, keep_headers

logger = structlog.get_logger()

UNMATCHED = "unmatched"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_INFLATING = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
_BODILESS = frozenset(("GET", "HEAD", "OPTIONS"))


class Edge:
    """Wraps an app. Bodies over `max_body_bytes` are refused: by Content-Length before they are read, else while;
    compressed ones are unpacked, and count as what they unpack to."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, gauges: Gauges, log_answers: bool = False) -> None:
        self.app, self.limit, self.gauges, self.log_answers = app, max_body_bytes, gauges, log_answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        headers = keep_headers(scope)
        answer = _Answer(send, headers.get(b"x-request-id"))
        state = scope.setdefault("state", {})
        state["request_id"] = answer.request_id
        request_state.set(state)
        try:
            if b"%00" in scope.get("raw_path", b"") or b"%00" in scope["query_string"]:
                raise Problem(400, "bad-character", "The address holds a NUL character.")
            if scope["method"] not in _BODILESS:
                receive = await self._body(scope, headers, receive)
            await self.app(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = 499
        except Exception as error:
            await self._failed(scope, receive, answer, error)
        seconds = perf_counter() - started
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self.gauges.answered(scope["method"], route, answer.status, seconds)
        if self.log_answers:
            logger.debug("answered", method=scope["method"], route=route, status=answer.status, seconds=seconds)

    async def _body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self.limit):
            raise self._too_large()
        is_json = headers.get(b"content-type", b"")[:16].lower() == b"application/json"
        encoding = headers.get(b"content-encoding")
        if encoding is None and not is_json:
            return receive if length is not None else self._counted(receive)
        body: bytes | None = await self._whole(receive)
        if encoding is not None:
            body = inflated(body, encoding.lower(), self.limit)
        if body is None:
            raise self._too_large()
        if is_json:
            check_json(body)
        keep_body(scope, body)
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        return replay

    async def _whole(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            chunks, size = [body], len(body)
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > self.limit:
                    raise self._too_large()
            body = b"".join(chunks)
        return body

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limit:  # FastAPI lets no other exception out of its reading of the body
                raise HTTPException(413, self._too_large().detail)
            return message

        return counted

    def _too_large(self) -> Problem:
        detail = f"The body is larger than {self.limit} bytes."
        return Problem(413, "body-too-large", detail, "Send it in several requests.", limit=self.limit)

    async def _failed(self, scope: Scope, receive: Receive, answer: "_Answer", error: Exception) -> None:
        if isinstance(error, Problem):
            problem = error
        else:
            route = getattr(scope.get("route"), "path", UNMATCHED)  # the path itself may name a person
            logger.exception("request failed", method=scope["method"], route=route)
            detail = "Something went wrong here; it is logged under this request's id."
            problem = Problem(500, "internal-error", detail, request_id=answer.request_id)
        if not answer.started:
            await problem_response(problem, scope["path"])(scope, receive, answer.send)


def inflated(body: bytes, encoding: bytes, limit: int) -> bytes | None:
    """A compressed body as it was (RFC 9110, 8.4.1: gzip, deflate); None where it is larger than `limit`: no more than
    that is ever unpacked. Raises Problem 400, 415."""
    if encoding == b"identity":
        return body
    if encoding not in _INFLATING:
        told = encoding.decode("latin-1")
        fix = f"One of {', '.join(kind.decode() for kind in _INFLATING)}."
        accepted = {"Accept-Encoding": "gzip, deflate"}
        raise Problem(415, "unsupported-encoding", f"Content-Encoding '{told:.50}' is not read.", fix, accepted)
    unpacking = zlib.decompressobj(_INFLATING[encoding])
    try:
        data = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem(400, "malformed-body", f"The body is no {encoding.decode()}: {error}.") from error
    if len(data) > limit:
        return None
    if not unpacking.eof or unpacking.unused_data:
        what = "goes on behind its end" if unpacking.eof else "ends too early"
        raise Problem(400, "malformed-body", f"The body, compressed by {encoding.decode()}, {what}.")
    return data


def check_json(body: bytes) -> None:
    """Raise Problem 400 on NaN, Infinity, lone surrogates and NUL characters; cheap where none can be."""
    if not (b"NaN" in body or b"Infinity" in body or b"\\u" in body):
        return
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed_json(str(error)) from error
    if _NUL.search(body):
        raise malformed_json("a text holds a NUL character")


def malformed_json(reason: str) -> Problem:
    """The body is no JSON by RFC 8259."""
    detail = f"The body is no JSON: {reason}."
    return Problem(400, "malformed-json", detail, "Send JSON by RFC 8259: UTF-8, no NaN or Infinity.")


class _Answer:
    """Watches the answer on its way out and puts the request id on it."""

    __slots__ = ("_header", "_send", "request_id", "started", "status")

    def __init__(self, send: Send, given: bytes | None) -> None:
        identifier = given if given is not None and _REQUEST_ID.fullmatch(given) else new_id().encode()
        self._send, self._header, self.request_id = send, (b"x-request-id", identifier), identifier.decode()
        self.status, self.started = 500, False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            message["headers"] = [*message.get("headers", ()), self._header]
        await self._send(message)
