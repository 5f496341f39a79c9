"""Gates looked at again piece by piece, where a policy or a flag concerns more versions than one unit of work should
judge: what waits is work in hand, so that requests and views go on in between, and a killed worker goes on after it."""

from collections.abc import Sequence

from services.registry.domain import models
from services.registry.policies import policies_in
from shared.events.envelope import Event
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Change, Delete, Put, Query, Where
from shared.runtime.commands import Context, new_id
from shared.runtime.service import Service

PIECE = 100
"""Versions judged in one unit of work."""
PAGE = 1_000
WAITING = "reviews"

Reviews = dict[str, tuple[set[int] | None, Event]]
"""Model → the versions whose gates may have changed (None: all), and the last event that may have changed them."""


async def put_off(unit: UnitOfWork, reviews: Reviews) -> Reviews:
    """What of these can be looked at in this unit of work; the models that are too much for it wait for `pieces`."""
    whole = [model for model, (versions, _) in reviews.items() if versions is None]
    sizes = await _sizes(unit, whole)
    left, waiting = PIECE, dict[str, Change]()
    for model in whole:
        if sizes.get(model, 0) <= left:
            left -= sizes.get(model, 0)
        else:
            cause = reviews[model][1]
            by = {"actor": cause.actor, "at": cause.time, "event_id": cause.id, "correlationid": cause.correlationid}
            waiting[model] = Put(WAITING, {"model": model, "judged": 0} | by)
    if waiting:
        await unit.lock([WAITING])  # a piece under way must not count as judged by what comes now
        await unit.apply(list(waiting.values()))
    return {model: review for model, review in reviews.items() if model not in waiting}


async def _sizes(unit: UnitOfWork, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for first in range(0, len(names), PAGE):
        where = (Where("name", "in", list(names[first : first + PAGE])),)
        rows = await unit.find(Query("models", where, limit=PAGE, columns=("name", "newest_version")))
        found |= {row["name"]: row["newest_version"] or 0 for row in rows}
    return found


async def pieces(service: Service) -> None:
    """Look at all that waits, a piece at a time."""
    while rows := await service.store.find(Query(WAITING, limit=PAGE, columns=("model",))):
        for row in rows:
            while await _piece(service, row["model"]):
                pass


async def _piece(service: Service, model: str) -> bool:
    """The next versions of one model; whether there may be more."""
    subject = f"model/{model}"
    try:
        async with service.store.begin() as unit:
            await unit.lock([WAITING])
            row = await unit.get(WAITING, model)
            if row is None:
                return False
            _, state = await service.commands.state_in(unit, models, subject)
            end = min(row["judged"] + PIECE, state.last)
            command = models.ReviewGate(
                await policies_in(service, unit, model), tuple(range(row["judged"] + 1, end + 1))
            )
            cause = Context(row["actor"], row["at"], new_id(), row["correlationid"], row["event_id"])
            await service.commands.handle_in(unit, models, subject, command, cause)
            over = end >= state.last
            place = {"model": model}
            await unit.apply([Delete(WAITING, place) if over else Put(WAITING, place | {"judged": end})])
            return not over
    except Conflict:  # somebody else wrote to the model meanwhile
        return True
