"""Who flagged is told what became of it: as a list, and as it happens."""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import Field

from services.feedback.worker.notices import channel_of, message_of
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.http import Call, page, reading
from shared.runtime.server_sent import DISORDER, LastEventId, Places, Told, documented, missed, streamed
from shared.runtime.service import Service

Limit = Annotated[int, Field(ge=1)]
PATH = "/v1/notices"
_NOTICES = documented("Notices as GET /v1/notices lists them; the event's name is the notice's `type`.")


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    seeing = Depends(reading(service))
    places = Places(service.settings.max_stream_clients)

    @routes.get(PATH)
    async def notices(call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None) -> dict[str, Any]:
        """What became of the caller's flags, and what was said about those that the caller has to answer; the newest
        first."""
        query = Query("notices", equal(recipient=call.caller.actor), ("-at",), limit)
        return await page(service, query, cursor)

    @routes.get(PATH + "/stream", response_class=StreamingResponse, responses=_NOTICES)
    async def stream(call: Annotated[Call, seeing], last_event_id: LastEventId = None) -> StreamingResponse:
        """The caller's notices as server-sent events, as they are made. Who comes back with Last-Event-ID (a notice's
        `event_id`) is first told what came since; one may come twice, with the same id. Beyond MUNIMENT_STREAM_REPLAY
        an event `Missed` says so, and the rest is in GET /v1/notices. 503 `too-many-listeners` beyond
        MUNIMENT_MAX_STREAM_CLIENTS."""
        actor = call.caller.actor

        async def since() -> Sequence[Told]:
            return await _since(service, actor, last_event_id) if last_event_id else ()

        return streamed(service, places, channel_of(actor), since, lambda message: _told(orjson.loads(message)))


async def _since(service: Service, actor: str, last: str) -> list[Told]:
    """What this actor was told after that notice, and shortly before it, since notices come from several partitions."""
    known, most = await service.store.get("notices", actor, last), service.settings.stream_replay
    if known is None:
        return [missed(last, f"'{last}' is no notice of {actor}.", f"Read what was missed from GET {PATH}.")]
    where = (*equal(recipient=actor), Where("at", ">=", known["at"] - DISORDER), Where("event_id", "!=", last))
    rows = await service.store.find(Query("notices", where, ("-at",), most + 1))
    told = [_told(row) for row in reversed(rows[:most])]
    if len(rows) > most:
        told.insert(0, missed(last, f"More than {most} notices were made since.", f"Read the rest from GET {PATH}."))
    return told


def _told(notice: Row) -> Told:
    return Told(notice["type"], message_of(notice), notice["event_id"])
