"""Batches of outcomes: each event once, each outcome to its prediction, or kept until that comes."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.monitor.worker.joining import Joining, Told, in_chunks, lock_of
from services.monitor.worker.states import States, micros
from services.monitor.worker.tables import Tables
from shared.events import batches
from shared.events.monitor import OutcomeLogged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Row
from shared.runtime.consumer import Received
from shared.runtime.settings import Settings

SERVER_ID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[0-9]{1,5}$"


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """One event's rows in columns. `batch` None where the id is a client's own and not known."""

    event: str
    ids: list[str]
    batch: list[str | None]
    row: np.ndarray[tuple[int], np.dtype[np.int64]]
    values: np.ndarray[tuple[int], np.dtype[np.float64]]
    at: np.ndarray[tuple[int], np.dtype[np.int64]]
    told: int


@dataclass(slots=True)
class Outcomes:
    """Joins records of one partition of muniment.outcomes within a unit of work."""

    tables: Tables
    settings: Settings

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        fresh = await _fresh(unit, received)
        if not fresh:
            return
        tabled = [_read(item) for item in fresh]
        await _resolve_own(unit, tabled)
        named = sorted({batch for one in tabled for batch in one.batch if batch is not None})
        if named:
            await unit.lock(sorted({lock_of(batch) for batch in named}))
        known = {row["batch"]: row for row in await in_chunks(unit, "batches", "batch", named)}
        states = States(unit, received[0].record.place, self.settings.window_seconds)
        joining = Joining(unit, states, self.tables, fresh[-1].record.recorded)
        await joining.load(list(known.values()))
        changes: list[Change] = []
        for one in tabled:
            told, waiting = _divided(one, known)
            changes += waiting
            changes.append(Put("outcome_events", {"event": one.event, "rows": len(one.ids)}))
            await joining.join(one.event, told)
        await unit.apply(changes)
        await joining.write()
        await states.write()


async def _fresh(unit: UnitOfWork, received: Sequence[Received]) -> list[Received]:
    seen = {row["event"] for row in await in_chunks(unit, "outcome_events", "event", [it.event.id for it in received])}
    fresh: list[Received] = []
    for item in received:
        if item.event.id not in seen and isinstance(item.event.data, OutcomeLogged):
            seen.add(item.event.id)
            fresh.append(item)
    return fresh


def _read(item: Received) -> _Outcomes:
    """The rows of an event, with batch and row of each id that the server gave."""
    table = batches.read(item.event.table or b"")
    ids = table.column("prediction_id")
    values = table.column("value").cast(pa.float64()).to_numpy(zero_copy_only=False)
    at = table.column("at").cast(batches.TIMESTAMP).cast(pa.int64()).to_numpy(zero_copy_only=False)
    if ids.null_count or not np.isfinite(values).all() or table.column("at").null_count:
        raise ValueError("outcomes without id, value or time")
    given = pc.match_substring_regex(ids, SERVER_ID)
    batch = pc.if_else(given, pc.utf8_slice_codeunits(ids, 0, 36), pa.scalar(None, pa.string()))
    row = pc.if_else(given, pc.utf8_slice_codeunits(ids, 37, 42), pa.scalar("0"))
    return _Outcomes(
        item.event.id,
        ids.to_pylist(),
        batch.to_pylist(),
        row.cast(pa.int64()).to_numpy(zero_copy_only=False).copy(),
        values,
        at,
        micros(item.record.recorded),
    )


async def _resolve_own(unit: UnitOfWork, tabled: Sequence[_Outcomes]) -> None:
    """Fill in batch and row of the clients' own ids that are known."""
    own = sorted({name for one in tabled for name, batch in zip(one.ids, one.batch, strict=True) if batch is None})
    if not own:
        return
    known = {row["prediction_id"]: row for row in await in_chunks(unit, "prediction_ids", "prediction_id", own)}
    for one in tabled:
        for place, name in enumerate(one.ids):
            found = known.get(name) if one.batch[place] is None else None
            if found is not None:
                one.batch[place] = found["batch"]
                one.row[place] = found["row"]


def _divided(one: _Outcomes, known: dict[str, Row]) -> tuple[list[tuple[Row, Told]], list[Change]]:
    """What can be joined, by batch, and what has to wait."""
    places: dict[str, list[int]] = {}
    waiting: list[Change] = []
    for place, batch in enumerate(one.batch):
        row = known.get(batch) if batch is not None else None
        if row is not None and one.row[place] < row["rows"]:
            places.setdefault(row["batch"], []).append(place)
        else:
            waiting.append(_waits(one, place))
    told: list[tuple[Row, Told]] = []
    for batch, chosen in places.items():
        at = np.full(len(chosen), one.told, np.int64)
        told.append((known[batch], Told(one.event, one.row[chosen], one.values[chosen], one.at[chosen], at)))
    return told, waiting


def _waits(one: _Outcomes, place: int) -> Change:
    return Put(
        "pending_outcomes",
        {
            "prediction_id": one.ids[place],
            "event": one.event,
            "batch": one.batch[place],
            "row": int(one.row[place]),
            "value": float(one.values[place]),
            "at": int(one.at[place]),
            "told": one.told,
        },
    )
