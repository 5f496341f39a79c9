"""What the monitor states, as server-sent events."""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from services.monitor.worker import OWN
from services.monitor.worker.telling import STREAM, message_of
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.runtime.http import Call, reading
from shared.runtime.server_sent import DISORDER, LastEventId, Places, Told, documented, missed, streamed
from shared.runtime.service import Service

_EVENTS = documented(
    "WindowMeasured, DriftDetected, AlertRaised, OutcomesJoined and so on, each as a structured CloudEvent."
)

Deployment = Annotated[str | None, Query(max_length=200, description="Of this deployment alone.")]


def add(router: APIRouter, service: Service) -> None:
    """GET /stream."""
    places = Places(service.settings.max_stream_clients)

    @router.get("/stream", response_class=StreamingResponse, responses=_EVENTS)
    async def get_stream(
        deployment: Deployment = None, last_event_id: LastEventId = None, call: Call = Depends(reading(service))
    ) -> StreamingResponse:
        """Measured windows, drift, missed targets, and outcomes that met their predictions, as they are stated.

        An event may come twice, with the same id, and a moment before the views show it. Who comes back with
        Last-Event-ID is first told what was stated since, except for outcomes, which have no id here and are told only
        live; where too much was missed, an event `Missed` says so, and the rest is in GET /v1/events of the audit.
        503 `too-many-listeners` beyond MUNIMENT_MAX_STREAM_CLIENTS.
        """

        async def since() -> Sequence[Told]:
            return await _since(service, last_event_id, deployment) if last_event_id else ()

        def read(message: str) -> Told | None:
            event = orjson.loads(message)
            return _told(event["type"], event["id"], message) if _concerns(event["data"], deployment) else None

        return streamed(service, places, STREAM, since, read)


async def _since(service: Service, last: str, deployment: str | None) -> list[Told]:
    """What the monitor stated after this event, in order; that it was missed where it is not among the newest."""
    store, most = service.store, service.settings.stream_replay
    end = await store.relayed(OWN) + await store.relay_lag([OWN])
    events = [decode(record) for record in await store.outbox(OWN, max(0, end - most), most)]
    place = next((place for place, event in enumerate(events) if event.id == last), None)
    if place is None:
        detail = f"'{last}' is not among the last {most} events stated here."
        return [missed(last, detail, "Read what was missed from GET /v1/events of the audit.")]
    since = _taken(events[place]) - DISORDER
    after = [*(event for event in events[:place] if _taken(event) >= since), *events[place + 1 :]]
    concerned = (event for event in after if _concerns(event.data.model_dump(), deployment))
    return [_told(event.type, event.id, message_of(event)) for event in concerned]


def _taken(event: Event) -> Any:
    return event.recorded or event.time


def _concerns(data: dict[str, Any], deployment: str | None) -> bool:
    return deployment is None or data.get("deployment") == deployment


def _told(kind: str, event_id: str, message: str) -> Told:
    """One event. Outcomes have no `id`."""
    return Told(kind, message, None if kind == "OutcomesJoined" else event_id)
