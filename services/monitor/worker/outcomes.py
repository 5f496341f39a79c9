"""Batches of outcomes: each event once, each outcome to its prediction, or kept until that comes."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.monitor.facts import Facts
from services.monitor.worker.joining import Joining, Told, in_chunks, lock_of
from services.monitor.worker.shadows import beside, divided, links_of, shadows_in
from services.monitor.worker.states import States, micros
from services.monitor.worker.tables import Tables
from shared.events import batches
from shared.events.envelope import Event
from shared.events.monitor import OutcomeLogged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Row
from shared.runtime.consumer import Received
from shared.runtime.settings import Settings

LOOKS = 3
"""How often one unit of work looks for the batches that outcomes name, before they are put aside."""

SERVER_ID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[0-9]{1,5}$"


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """One event's rows in columns. `code`: the place of a row's batch in `batches`, -1 where it is not known."""

    event: str
    ids: pa.Array
    batches: list[str]
    code: NDArray[np.int64]
    row: NDArray[np.int64]
    values: NDArray[np.float64]
    at: NDArray[np.int64]
    told: int


@dataclass(slots=True)
class Outcomes:
    """Joins records of one partition of muniment.outcomes within a unit of work."""

    facts: Facts
    tables: Tables
    settings: Settings

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> list[Event]:
        """Answers what was stated of outcomes that met their predictions."""
        fresh = await _fresh(unit, received)
        if not fresh:
            return []
        tabled = [_read(item) for item in fresh]
        await _resolve_own(unit, tabled)
        named = sorted({batch for one in tabled for batch in one.batches})
        locked = {lock_of(batch) for batch in [*named, *shadows_in(await links_of(unit, named))]}
        if locked:
            await unit.lock(sorted(locked))
        links = await links_of(unit, named)
        touched = sorted({*named, *shadows_in(links)})
        known = {row["batch"]: row for row in await in_chunks(unit, "batches", "batch", touched)}
        states = States(unit, received[0].record.place, self.settings)
        joining = Joining(unit, states, self.tables, self.facts, self.settings.max_groups, fresh[-1].record.recorded)
        await joining.load(list(known.values()))
        changes: list[Change] = []
        rest = [np.arange(len(one.ids)) for one in tabled]
        for _ in range(LOOKS):
            for place, one in enumerate(tabled):
                told, rest[place] = _divided(one, known, rest[place])
                shadows, later = divided(beside(told, links), known, locked)
                changes += later
                await joining.join(one.event, [*told, *shadows])
            fresh_batches = await _known_since(unit, tabled, rest, known)
            if not fresh_batches:
                break
            known |= fresh_batches
            await joining.load(list(fresh_batches.values()))
        for one, places in zip(tabled, rest, strict=True):
            changes += [_waits(one, place) for place in places.tolist()]
            changes.append(Put("outcome_events", {"event": one.event, "rows": len(one.ids)}))
        await unit.apply(changes)
        await joining.write()
        await states.write()
        return joining.stated


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
    batch = pc.if_else(given, pc.utf8_slice_codeunits(ids, 0, 36), pa.scalar(None, pa.string())).dictionary_encode()
    row = pc.if_else(given, pc.utf8_slice_codeunits(ids, 37, 42), pa.scalar("0"))
    return _Outcomes(
        item.event.id,
        ids,
        batch.dictionary.to_pylist(),
        pc.fill_null(batch.indices, -1).cast(pa.int64()).to_numpy().copy(),
        row.cast(pa.int64()).to_numpy().copy(),
        values,
        at,
        micros(item.record.recorded),
    )


async def _resolve_own(unit: UnitOfWork, tabled: Sequence[_Outcomes]) -> None:
    """Fill in batch and row of the clients' own ids that are known."""
    own = {name for one in tabled for _, name in _open(one)}
    if not own:
        return
    found = await in_chunks(unit, "prediction_ids", "prediction_id", sorted(own))
    known = {row["prediction_id"]: row for row in found}
    for one in tabled:
        codes = {name: code for code, name in enumerate(one.batches)}
        for place, name in _open(one):
            row = known.get(name)
            if row is not None:
                one.code[place] = codes.setdefault(row["batch"], len(codes))
                one.row[place] = row["row"]
        one.batches[:] = codes


def _open(one: _Outcomes) -> list[tuple[int, str]]:
    """(row, id) of the rows whose batch is not known."""
    return [(int(place), one.ids[int(place)].as_py()) for place in np.flatnonzero(one.code < 0)]


async def _known_since(
    unit: UnitOfWork, tabled: Sequence[_Outcomes], rest: Sequence[NDArray[np.int64]], known: dict[str, Row]
) -> dict[str, Row]:
    """Batches of what is left that were folded meanwhile: joining takes time, and what is put aside waits for the
    sweep."""
    names = {
        one.batches[code]
        for one, places in zip(tabled, rest, strict=True)
        for code in np.unique(one.code[places]).tolist()
        if code >= 0
    }
    unknown = sorted(names - known.keys())
    return {row["batch"]: row for row in await in_chunks(unit, "batches", "batch", unknown)}


def _divided(
    one: _Outcomes, known: dict[str, Row], among: NDArray[np.int64]
) -> tuple[list[tuple[Row, Told]], NDArray[np.int64]]:
    """Of the rows `among` all what can be joined, by batch, and the rows that cannot."""
    rows = np.array([known[name]["rows"] if name in known else 0 for name in one.batches] + [0])
    fits = one.row[among] < rows[one.code[among]]  # -1 takes the last, which fits nothing
    places, left = among[fits], among[~fits]
    if not len(places):
        return [], left
    order = places[np.argsort(one.code[places], kind="stable")]
    codes, starts = np.unique(one.code[order], return_index=True)
    told: list[tuple[Row, Told]] = []
    for code, chosen in zip(codes, np.split(order, starts[1:]), strict=True):
        when = np.full(len(chosen), one.told, np.int64)
        row = known[one.batches[int(code)]]
        told.append((row, Told(one.event, one.row[chosen], one.values[chosen], one.at[chosen], when)))
    return told, left


def _waits(one: _Outcomes, place: int) -> Change:
    code = int(one.code[place])
    return Put(
        "pending_outcomes",
        {
            "prediction_id": one.ids[place].as_py(),
            "event": one.event,
            "batch": one.batches[code] if code >= 0 else None,
            "row": int(one.row[place]),
            "value": float(one.values[place]),
            "at": int(one.at[place]),
            "told": one.told,
        },
    )
