"""Batches of predictions into window states, each batch once, whatever is delivered again."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pyarrow as pa

from services.monitor.domain.outcomes import decode
from services.monitor.facts import Facts, Version
from services.monitor.worker.folds import Taken, aside, folded
from services.monitor.worker.joining import Joining, in_chunks, lock_of
from services.monitor.worker.pending import by_event, taken
from services.monitor.worker.shadows import beside, inherited, linked, links_in, links_of, waits
from services.monitor.worker.states import States
from services.monitor.worker.tables import Tables
from shared.events import batches
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Row
from shared.runtime.consumer import NotYet, Received
from shared.runtime.predictions import Target
from shared.runtime.settings import Settings

ID_LOCKS = 64


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch not seen before."""

    received: Received
    data: PredictionLogged
    rows: pa.RecordBatch

    @property
    def id(self) -> str:
        return self.received.event.id

    @property
    def target(self) -> Target:
        return Target(self.data.deployment, self.data.model, self.data.version)

    def row(self) -> Row:
        record, data = self.received.record, self.data
        return {
            "batch": self.id,
            "deployment": data.deployment,
            "model": data.model,
            "version": data.version,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "rows": data.rows,
            "start": data.start,
            "end": data.end,
            "client_ids": data.client_ids,
            "fallback": data.fallback,
        }

    def own_ids(self) -> list[str]:
        return self.rows.column("prediction_id").to_pylist() if self.data.client_ids else []


@dataclass(slots=True)
class Predictions:
    """Folds records of one partition of muniment.predictions within a unit of work."""

    facts: Facts
    tables: Tables
    settings: Settings

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> list[Event]:
        """Answers what was stated of outcomes that had waited. Raises NotYet where the version's registration has not
        come yet."""
        fresh = await self._fresh(unit, received)
        if not fresh:
            return []
        states = States(unit, received[0].record.place, self.settings)
        own = {name for batch in fresh for name in batch.own_ids()}
        if own:
            await unit.lock(sorted({f"monitor.id/{crc32(name.encode()) % ID_LOCKS}" for name in own}))
        indexed = await in_chunks(unit, "prediction_ids", "prediction_id", sorted(own))
        known = {row["prediction_id"]: row for row in indexed}
        changes: list[Change] = [Put("batches", batch.row()) for batch in fresh]
        new: list[Taken] = []
        for batch in fresh:
            rows, added = _indexed(batch, known)
            changes += added
            if rows.num_rows and not batch.data.fallback:  # a constant is no word of the model
                version = await self._version(unit, batch.data)
                new.append(Taken(batch.target, version, rows, batch.received.record.recorded))
                states.seen(batch.data.deployment, batch.data.end, batch.received.record.recorded)
            self.tables.keep(batch.id, batch.received.record.value)
        for part in await aside(sum(one.rows.num_rows for one in new), lambda: folded(new, self.settings)):
            await states.add(part.target, part.start, part.sketch, part.first, part.last)
        # only now, since folding takes time, and what is put aside meanwhile would have to wait for the sweep
        pending = await _waiting(unit, [batch.id for batch in fresh], sorted(own))
        links = [link for batch in fresh for link in links_in(batch.id, batch.rows)]
        await _lock(unit, fresh, pending, links)
        await unit.apply([*changes, *linked(links)])
        stated = await self._resolve(unit, states, fresh, pending, known, links) if pending or links else []
        await states.write()
        return stated

    async def _fresh(self, unit: UnitOfWork, received: Sequence[Received]) -> list[_Batch]:
        ids = [item.event.id for item in received]
        seen = {row["batch"] for row in await in_chunks(unit, "batches", "batch", ids)}
        fresh: list[tuple[Received, PredictionLogged]] = []
        for item in received:
            data = item.event.data
            if item.event.id in seen or not isinstance(data, PredictionLogged):
                continue
            seen.add(item.event.id)
            fresh.append((item, data))
        return await aside(sum(data.rows for _, data in fresh), lambda: [_opened(*one) for one in fresh])

    async def _version(self, unit: UnitOfWork, data: PredictionLogged) -> Version:
        version = await self.facts.version(unit, data.model, data.version)
        if version is None:
            raise NotYet(f"version {data.version} of model {data.model} is not known yet")
        return version

    async def _resolve(
        self,
        unit: UnitOfWork,
        states: States,
        fresh: Sequence[_Batch],
        pending: Sequence[Row],
        known: dict[str, Row],
        links: Sequence[Row],
    ) -> list[Event]:
        """Join outcomes that came before their predictions, and those of answers that came before their shadows."""
        by_id = {batch.id: batch.row() for batch in fresh}
        recorded = fresh[-1].received.record.recorded
        joining = Joining(unit, states, self.tables, self.facts, self.settings.max_groups, recorded)
        shadows = await links_of(unit, sorted(by_id))
        later: list[Change] = []
        for event, told in by_event(pending, by_id, known):
            await joining.join(event, told)
            later += [change for shadow, outcomes in beside(told, shadows) for change in waits(shadow, outcomes)]
        await self._inherit(unit, joining, by_id, links)
        await joining.write()
        await unit.apply([*taken(pending, by_id, known), *later])
        return joining.stated

    async def _inherit(self, unit: UnitOfWork, joining: Joining, by_id: dict[str, Row], links: Sequence[Row]) -> None:
        rows = await in_chunks(unit, "truths", "batch", sorted({link["answered"] for link in links}))
        truths = {row["batch"]: decode(row["truth"]) for row in rows}
        for link in links:
            truth = truths.get(link["answered"])
            told = inherited(link, truth) if truth is not None else None
            if told is not None:
                await joining.join("", [(by_id[link["shadow"]], told)], (link["answered"],))


def _opened(item: Received, data: PredictionLogged) -> _Batch:
    return _Batch(item, data, _read(item.event.table or b"", data))


def _read(table: bytes, data: PredictionLogged) -> pa.RecordBatch:
    rows = batches.read(table)
    if rows.num_rows != data.rows or rows.num_rows == 0:
        raise ValueError(f"a batch of {rows.num_rows} rows says that it has {data.rows}")
    if "at" not in rows.schema.names or rows.column("at").null_count:
        raise ValueError("a batch with rows without time")
    if data.client_ids and "prediction_id" not in rows.schema.names:
        raise ValueError("a batch that has no column of the ids it speaks of")
    return rows


def _indexed(batch: _Batch, known: dict[str, Row]) -> tuple[pa.RecordBatch, list[Change]]:
    """The rows that are new, and the index of their own ids: an id named before is the same prediction again."""
    own = batch.own_ids()
    if not own:
        return batch.rows, []
    keep = np.ones(len(own), np.bool_)
    changes: list[Change] = []
    for place, name in enumerate(own):
        if name in known:
            keep[place] = False
            continue
        known[name] = {"prediction_id": name, "batch": batch.id, "row": place}
        changes.append(Put("prediction_ids", known[name]))
    return (batch.rows if keep.all() else batch.rows.filter(pa.array(keep))), changes


async def _waiting(unit: UnitOfWork, ids: Sequence[str], own: Sequence[str]) -> list[Row]:
    """Outcomes that wait for these batches or for these own ids."""
    waiting = await in_chunks(unit, "pending_outcomes", "batch", ids, limit=100_000)
    return waiting + await in_chunks(unit, "pending_outcomes", "prediction_id", own, limit=100_000)


async def _lock(unit: UnitOfWork, fresh: Sequence[_Batch], pending: Sequence[Row], links: Sequence[Row]) -> None:
    """Guard the truths that others may write too, in one go, and after all locks of ids, so that no two workers wait
    for one another."""
    names = {lock_of(batch.id) for batch in fresh} if pending else set[str]()
    names |= {lock_of(link[end]) for link in links for end in ("answered", "shadow")}
    if names:
        await unit.lock(sorted(names))
