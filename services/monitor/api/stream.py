"""What the monitor states, as server-sent events (WHATWG HTML, 9.2)."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.monitor.worker import OWN
from services.monitor.worker.telling import STREAM, message_of
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.runtime.http import Call, reading
from shared.runtime.problems import Problem
from shared.runtime.service import Service

BEAT_SECONDS = 1.0
"""How soon a listener's answer ends once the process is asked to stop."""

QUIET_BEATS = 15
"""A comment shows that the connection lives after so many beats without an event; proxies drop what is silent."""

RETRY_MILLISECONDS = 2_000
DISORDER = timedelta(seconds=5)
"""Partitions are read side by side, so that an event may come so much before an older one of another partition."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EVENTS = {
    "description": "WindowMeasured, DriftDetected, KpiBreached and OutcomesJoined, each as a structured CloudEvent.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}

Deployment = Annotated[str | None, Query(max_length=200, description="Of this deployment alone.")]
LastEventId = Annotated[str | None, Header(max_length=200, description="The id of the last event that arrived.")]


def add(router: APIRouter, service: Service) -> None:
    """GET /stream."""
    places = Places(service.settings.max_stream_clients)

    @router.get("/stream", response_class=StreamingResponse, responses={200: _EVENTS})
    async def get_stream(
        deployment: Deployment = None, last_event_id: LastEventId = None, call: Call = Depends(reading(service))
    ) -> StreamingResponse:
        """Measured windows, drift, missed targets, and outcomes that met their predictions, as they are stated.

        An event may come twice, with the same id, and a moment before the views show it. Who comes back with
        Last-Event-ID is first told what was stated since, except for outcomes, which have no id here and are told only
        live; where too much was missed, an event `Missed` says so, and the rest is in GET /v1/events of the audit.
        503 `too-many-listeners` beyond MUNIMENT_MAX_STREAM_CLIENTS.
        """
        places.take()
        return _Stream(_lines(service, deployment, last_event_id), places.leave)


@dataclass(slots=True)
class Places:
    """How many listen here now."""

    limit: int
    taken: int = 0

    def take(self) -> None:
        """Raises Problem 503 where all places are taken."""
        if self.taken >= self.limit:
            detail = f"{self.taken} listeners are connected to this process, its limit."
            fix = "Try again, or raise MUNIMENT_MAX_STREAM_CLIENTS."
            raise Problem(503, "too-many-listeners", detail, fix, headers={"Retry-After": "5"})
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1


class _Stream(StreamingResponse):
    """An endless answer that gives its place back, however it ends."""

    def __init__(self, lines: AsyncGenerator[bytes, None], leave: Callable[[], None]) -> None:
        super().__init__(lines, headers=HEADERS, media_type="text/event-stream")
        self._lines, self._leave = lines, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
            await self._lines.aclose()


async def _lines(service: Service, deployment: str | None, last: str | None) -> AsyncGenerator[bytes, None]:
    """Listens before it looks back, so that nothing falls between. Ends when the process is asked to stop."""
    async with service.live.listen(STREAM) as messages:
        yield f": listening\nretry: {RETRY_MILLISECONDS}\n\n".encode()
        missed = await _since(service, last) if last else []
        if missed is None:
            yield _gap(service, last)
        told = {event.id for event in missed or ()}
        for event in missed or ():
            if _concerns(event.data.model_dump(), deployment):
                yield _line({"id": event.id, "type": event.type}, message_of(event))
        quiet = 0
        while not service.closing.is_set():
            message = await messages.next(BEAT_SECONDS)
            quiet = quiet + 1 if message is None else 0
            if message is not None:
                event_json = orjson.loads(message)
                if event_json["id"] not in told and _concerns(event_json["data"], deployment):
                    yield _line(event_json, message)
            elif quiet % QUIET_BEATS == 0:
                yield b": still here\n\n"


async def _since(service: Service, last: str) -> list[Event] | None:
    """What the monitor stated after this event, in order; None where it is not among the newest."""
    store, most = service.store, service.settings.stream_replay
    end = await store.relayed(OWN) + await store.relay_lag([OWN])
    events = [decode(record) for record in await store.outbox(OWN, max(0, end - most), most)]
    place = next((place for place, event in enumerate(events) if event.id == last), None)
    if place is None:
        return None
    since = (events[place].recorded or events[place].time) - DISORDER
    before = [event for event in events[:place] if (event.recorded or event.time) >= since]
    return [*before, *events[place + 1 :]]


def _gap(service: Service, last: str | None) -> bytes:
    detail = f"'{last}' is not among the last {service.settings.stream_replay} events stated here."
    told = {"last_event_id": last, "detail": detail, "fix": "Read what was missed from GET /v1/events of the audit."}
    return f"event: Missed\ndata: {orjson.dumps(told).decode()}\n\n".encode()


def _concerns(data: dict[str, Any], deployment: str | None) -> bool:
    return deployment is None or data.get("deployment") == deployment


def _line(event: dict[str, Any], message: str) -> bytes:
    """One event. Outcomes have no `id`, so that Last-Event-ID always names what can be looked up again."""
    name = "" if event["type"] == "OutcomesJoined" else f"id: {event['id']}\n"
    return f"{name}event: {event['type']}\ndata: {message}\n\n".encode()
