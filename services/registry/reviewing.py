"""Versions taken piece by piece, where more are concerned than one unit of work should judge: gates that a policy, a
flag or a goal may have changed, and versions that were retired with their model. What waits is work in hand, so that
requests and views go on in between, and a killed worker goes on after it."""

from collections.abc import Mapping, Sequence

from services.registry.domain import models
from services.registry.domain.retiring import PIECE
from services.registry.policies import policies_in
from shared.events.envelope import Event
from shared.events.registry import ModelRetired
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Change, Delete, Put, Query, Where
from shared.runtime.commands import Context, new_id
from shared.runtime.service import Service

PAGE = 1_000
WAITING, RETIRING = "reviews", "retirements"

Reviews = dict[str, tuple[set[int] | None, Event]]
"""Model → the versions whose gates may have changed (None: all), and the last event that may have changed them."""


async def put_off(unit: UnitOfWork, reviews: Reviews) -> Reviews:
    """What of these can be looked at in this unit of work; the models that are too much for it wait for `pieces`."""
    whole = [model for model, (versions, _) in reviews.items() if versions is None]
    sizes = await _sizes(unit, whole)
    left, waiting = PIECE, dict[str, Event]()
    for model in whole:
        if sizes.get(model, 0) <= left:
            left -= sizes.get(model, 0)
        else:
            waiting[model] = reviews[model][1]
    await _wait(unit, WAITING, waiting)
    return {model: review for model, review in reviews.items() if model not in waiting}


async def put_off_retired(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """Let the versions wait that were retired with a model of so many that it did not state each of them."""
    retired = {event.data.model: event for event in events if isinstance(event.data, ModelRetired)}
    sizes = await _sizes(unit, list(retired))
    await _wait(unit, RETIRING, {model: event for model, event in retired.items() if sizes.get(model, 0) > PIECE})


async def _wait(unit: UnitOfWork, table: str, causes: Mapping[str, Event]) -> None:
    if not causes:
        return
    changes: list[Change] = []
    for model, cause in causes.items():
        by = {"actor": cause.actor, "at": cause.time, "event_id": cause.id, "correlationid": cause.correlationid}
        changes.append(Put(table, {"model": model, "judged": 0} | by))
    await unit.lock([table])  # a piece under way must not count as judged by what comes now
    await unit.apply(changes)


async def _sizes(unit: UnitOfWork, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for first in range(0, len(names), PAGE):
        where = (Where("name", "in", list(names[first : first + PAGE])),)
        rows = await unit.find(Query("models", where, limit=PAGE, columns=("name", "newest_version")))
        found |= {row["name"]: row["newest_version"] or 0 for row in rows}
    return found


async def pieces(service: Service) -> None:
    """Look at all that waits, a piece at a time."""
    for table in (RETIRING, WAITING):
        while rows := await service.store.find(Query(table, limit=PAGE, columns=("model",))):
            for row in rows:
                while await _piece(service, row["model"], table):
                    pass


async def _piece(service: Service, model: str, table: str = WAITING) -> bool:
    """The next versions of one model; whether there may be more."""
    subject = f"model/{model}"
    try:
        async with service.store.begin() as unit:
            await unit.lock([table])
            row = await unit.get(table, model)
            if row is None:
                return False
            _, state = await service.commands.state_in(unit, models, subject)
            last = state.retired_to if table == RETIRING else state.last
            end = min(row["judged"] + PIECE, last)
            numbers = tuple(range(row["judged"] + 1, end + 1))
            in_force = await policies_in(service, unit, model)
            command = models.ReviewGate(in_force, numbers)
            if table == RETIRING:
                command = models.RetireWithModel(numbers, in_force)
            cause = Context(row["actor"], row["at"], new_id(), row["correlationid"], row["event_id"])
            await service.commands.handle_in(unit, models, subject, command, cause)
            over = end >= last
            place = {"model": model}
            await unit.apply([Delete(table, place) if over else Put(table, place | {"judged": end})])
            return not over
    except Conflict:  # somebody else wrote to the model meanwhile
        return True
