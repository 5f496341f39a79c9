"""`/v1/dead-letters`: what could not be applied, and its replay once the cause is gone."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from shared.events.codec import header, rfc3339
from shared.log.store import DeadLetter
from shared.runtime.consumer import Consumer
from shared.runtime.http import authenticated
from shared.runtime.identity import Role
from shared.runtime.problems import not_found
from shared.runtime.replay import replay_dead_letters
from shared.runtime.running import Running

MAX_LETTERS = 1_000
_READERS = frozenset({Role.DEVOPS, Role.ADMIN, Role.DATA_ENGINEER, Role.ARCHITECT, Role.AUDITOR})
_REPLAYERS = frozenset({Role.DEVOPS, Role.ADMIN})


_COUNTS = {name: {"type": "integer", "minimum": 0} for name in ("applied", "failed", "waiting")}
_ANSWER = {
    "type": "object",
    "required": [*_COUNTS, "consumers"],
    "properties": _COUNTS | {"consumers": {"type": "array", "items": {"type": "object", "required": [*_COUNTS]}}},
}
_REPLAYED = {"responses": {"200": {"content": {"application/json": {"schema": _ANSWER}}}}}


class Replay(BaseModel):
    """Whose dead letters to apply again; None: everybody's in this process."""

    model_config = ConfigDict(extra="forbid")

    service: str | None = None
    consumer: str | None = None
    limit: int = Field(MAX_LETTERS, ge=1, le=MAX_LETTERS)


def router(parts: Sequence[Running]) -> APIRouter:
    """The endpoints for the services of this process."""
    api = APIRouter(tags=["operations"])

    @api.get("/v1/dead-letters")
    async def listed(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        service: str | None = None,
        consumer: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LETTERS)] = 100,
    ) -> dict[str, Any]:
        authenticated(request, _READERS)
        items: list[dict[str, Any]] = []
        for part, consumers in _chosen(parts, service, consumer):
            for one in consumers:
                async with part.service.store.begin() as unit:
                    letters = await unit.dead_letters(one.name, limit - len(items)) if len(items) < limit else []
                items += [_item(part.name, letter) for letter in letters]
        return {"items": items, "next": None}

    @api.post("/v1/dead-letters:replay", openapi_extra=_REPLAYED)
    async def replay(request: Request, body: Replay) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        authenticated(request, _REPLAYERS)
        consumers: list[dict[str, Any]] = []
        for part, chosen in _chosen(parts, body.service, body.consumer):
            for one in chosen:
                applied, failed = await replay_dead_letters(one, body.limit)
                waiting = (await part.service.store.waiting_dead_letters()).get(one.name, 0)
                consumers.append({"consumer": one.name, "applied": applied, "failed": failed, "waiting": waiting})
        totals = {name: sum(one[name] for one in consumers) for name in ("applied", "failed", "waiting")}
        return totals | {"consumers": consumers}

    return api


def _chosen(
    parts: Sequence[Running], service: str | None, consumer: str | None
) -> list[tuple[Running, list[Consumer]]]:
    """The parts and consumers meant. Raises Problem 404 on an unknown name."""
    if service is not None and service not in {part.name for part in parts}:
        not_found("service", service, [part.name for part in parts])
    meant = [part for part in parts if service in (None, part.name)]
    names = [one.name for part in meant for one in part.consumers]
    if consumer is not None and consumer not in names:
        not_found("consumer", consumer, names)
    return [(part, [one for one in part.consumers if consumer in (None, one.name)]) for part in meant]


def _item(service: str, letter: DeadLetter) -> dict[str, Any]:
    record = letter.record
    return {
        "service": service,
        "consumer": letter.consumer,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "type": header(record.headers, "ce_type"),
        "event_id": header(record.headers, "ce_id"),
        "reason": letter.reason,
        "at": rfc3339(letter.at),
    }
