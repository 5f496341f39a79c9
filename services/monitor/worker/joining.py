"""Outcomes meet their predictions: the truth of each batch, the windows and `OutcomesJoined`, in one unit of work."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.monitor.domain.counting import told_of
from services.monitor.domain.folding import MICROSECONDS, times_of
from services.monitor.domain.outcomes import Joins, Truth, decode, encode, tell, untold
from services.monitor.domain.plan import Plan
from services.monitor.domain.sketch import EMPTY
from services.monitor.facts import Facts
from services.monitor.worker.states import States
from services.monitor.worker.tables import Tables
from shared.events import batches
from shared.events.envelope import Event
from shared.events.monitor import OutcomesJoined
from shared.log.records import TopicPartition
from shared.log.store import UnitOfWork
from shared.log.tables import Put, Query, Row, Where
from shared.runtime.commands import new_id
from shared.runtime.consumer import NotYet
from shared.runtime.predictions import Target

LOCKS = 256
CHUNK = 1_000
ACTOR = "monitor"


@dataclass(frozen=True, slots=True)
class Told:
    """Outcomes of rows of one batch, out of one event."""

    event: str
    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    at: NDArray[np.int64]
    told: NDArray[np.int64]


def source_lock(place: TopicPartition) -> str:
    """The name that whoever counts records of a partition holds first: its consumer, or a replay of dead letters."""
    return f"monitor.source/{place.topic}/{place.partition}"


def lock_of(batch: str) -> str:
    """The name under which the truth of a batch is guarded; few enough names to hold many at once."""
    return f"monitor.truth/{int(batch[-6:].replace('-', ''), 16) % LOCKS}"


async def in_chunks(unit: UnitOfWork, table: str, column: str, values: Sequence[str], limit: int = CHUNK) -> list[Row]:
    """Rows whose column is one of these values, `limit` of a chunk of CHUNK values at most."""
    found: list[Row] = []
    for place in range(0, len(values), CHUNK):
        chunk = list(values[place : place + CHUNK])
        found += await unit.find(Query(table, (Where(column, "in", chunk),), limit=limit))
    return found


@dataclass(slots=True)
class Joining:
    """What one unit of work joins. The caller holds `lock_of` of every batch it names. `stated`: what was appended."""

    unit: UnitOfWork
    states: States
    tables: Tables
    facts: Facts
    max_groups: int
    at: datetime
    stated: list[Event] = field(default_factory=list[Event])
    _truths: dict[str, Truth] = field(default_factory=dict[str, Truth])
    _changed: set[str] = field(default_factory=set[str])

    async def load(self, known: Sequence[Row]) -> None:
        """Read the truths of these rows of `batches` at once."""
        rows = await in_chunks(self.unit, "truths", "batch", [row["batch"] for row in known])
        self._truths |= {row["batch"]: decode(row["truth"]) for row in rows}

    async def join(self, event: str, told: Sequence[tuple[Row, Told]], answered: Sequence[str] = ()) -> None:
        """Join the outcomes of one event; rows of `batches` beside the outcomes of each. `answered`: see
        `OutcomesJoined`."""
        parts: dict[Target, list[tuple[str, pa.RecordBatch]]] = {}
        for row, outcomes in told:
            joins = self._tell(row, outcomes)
            if not len(joins.rows) or row["fallback"]:  # a constant's truth is known, and judges no model
                continue
            target = Target(row["deployment"], row["model"], row["version"])
            plan = await self._plan(target)
            table = (await self.tables.outputs(row, plan.columns)).take(pa.array(joins.rows))
            await self._count(target, table, joins, plan)
            parts.setdefault(target, []).append((row["batch"], _emitted(row["batch"], table, joins)))
        for target, emitted in parts.items():
            await self._state(event, target, emitted, answered)

    async def write(self) -> None:
        """Put the truths that changed."""
        names = sorted(self._changed)
        await self.unit.apply([Put("truths", {"batch": name, "truth": encode(self._truths[name])}) for name in names])

    def _tell(self, row: Row, outcomes: Told) -> Joins:
        batch = row["batch"]
        truth = self._truths.get(batch) or untold(row["rows"])
        after, joins = tell(truth, outcomes.rows, outcomes.values, outcomes.at, outcomes.told)
        self._truths[batch] = after
        self._changed.add(batch)
        return joins

    async def _count(self, target: Target, table: pa.RecordBatch, joins: Joins, plan: Plan) -> None:
        width = self.states.settings.window_seconds * MICROSECONDS
        windows = times_of(table) // width
        for window in np.unique(windows):
            rows = np.flatnonzero(windows == window)
            some = table if len(rows) == table.num_rows else table.take(pa.array(rows))
            joined = told_of(some, plan, joins.values[rows], joins.weights[rows])
            await self.states.add(target, int(window) * width, replace(EMPTY, joined=joined), self.at, self.at)

    async def _plan(self, target: Target) -> Plan:
        """Raises NotYet where the version's registration has not come yet, as while views are rebuilt."""
        version = await self.facts.version(self.unit, target.model, target.version)
        if version is None:
            raise NotYet(f"version {target.version} of model {target.model} is not known yet")
        return version.plan(self.max_groups)

    async def _state(
        self, event: str, target: Target, emitted: Sequence[tuple[str, pa.RecordBatch]], answered: Sequence[str]
    ) -> None:
        names = tuple(sorted({name for name, _ in emitted}))
        tables = [pa.Table.from_batches([table]) for _, table in emitted]
        table = pa.concat_tables(tables, promote_options="permissive")
        place = self.states.place
        subject = f"joined/{target.deployment}/{target.version}/{place.topic}.{place.partition}"
        for start in range(0, table.num_rows, batches.MAX_ROWS):
            whole = table.slice(start, batches.MAX_ROWS).combine_chunks().to_batches()[0]
            data = self._data(event, target, names, answered, whole.num_rows)
            told = batches.write(whole)
            joined = Event(new_id(), "/muniment/monitor", subject, self.at, 0, ACTOR, data, event or None, table=told)
            self.stated += await self.unit.append(subject, None, [joined])

    def _data(
        self, cause: str, target: Target, names: tuple[str, ...], answered: Sequence[str], rows: int
    ) -> OutcomesJoined:
        return OutcomesJoined(
            rows=rows,
            deployment=target.deployment,
            model=target.model,
            version=target.version,
            batches=names,
            outcome_event=cause,
            answered=tuple(answered),
        )


def _emitted(batch: str, table: pa.RecordBatch, joins: Joins) -> pa.RecordBatch:
    """The rows of `OutcomesJoined` for one batch of predictions."""
    columns: dict[str, Any] = {
        "batch": pa.repeat(pa.scalar(batch, pa.string()), len(joins.rows)),
        "row": pa.array(joins.rows, pa.int32()),
        "at": table.column("at").cast(batches.TIMESTAMP),
        "outcome_at": pa.array(joins.at, pa.int64()).cast(batches.TIMESTAMP),
        "value": pa.array(joins.values),
        "weight": pa.array(joins.weights, pa.int8()),
    }
    for name in table.schema.names:
        if name == "segment" or name.startswith(batches.OUTPUT):
            columns[name] = table.column(name)
    return pa.record_batch(columns)
