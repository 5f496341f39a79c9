"""Outcomes that waited although their prediction had come: it came while they were being put aside.

A worker of predictions and one of outcomes can miss each other, since neither sees what the other has not committed.
They take no common lock, so that no worker waits for another; this job looks again at what waits, a part at a time.
"""

from dataclasses import dataclass, field
from typing import Any

from services.monitor.facts import Facts
from services.monitor.projection import PENDING
from services.monitor.worker.joining import Joining, in_chunks, lock_of, source_lock
from services.monitor.worker.pending import by_event, taken
from services.monitor.worker.shadows import beside, links_of, waits
from services.monitor.worker.states import States
from services.monitor.worker.tables import Tables
from services.monitor.worker.telling import tell
from shared.log.records import TopicPartition
from shared.log.store import Store, UnitOfWork
from shared.log.tables import Change, Query, Row, Where, cursor_of
from shared.runtime.commands import now
from shared.runtime.service import Live
from shared.runtime.settings import Settings

PLACE = TopicPartition("sweep", 0)
"""What this job counts has a source of its own, which no partition of the log shares."""

PART = 1_000
PARTS = 100


@dataclass(slots=True)
class Sweeping:
    """Goes through the outcomes that wait, PART of them at a time, and begins again at the end."""

    store: Store
    tables: Tables
    settings: Settings
    live: Live
    facts: Facts = field(default_factory=Facts)
    _after: tuple[Any, ...] | None = None

    async def run(self) -> None:
        """Look at the next part, and at those behind it, PARTS in all, as long as there is something to join."""
        for _ in range(PARTS):
            if not await self._part() or self._after is None:
                return

    async def whole(self) -> None:
        """Look at all that waits, until nothing of it can be joined."""
        joined = True
        while joined:
            self._after = None
            joined = await self._part()
            while self._after is not None:
                joined = await self._part() or joined

    async def _part(self) -> bool:
        """Look at the next part; whether anything in it could be joined."""
        page = await self.store.find(Query("pending_outcomes", limit=PART, after=self._after))
        self._after = cursor_of(PENDING, Query("pending_outcomes"), page[-1]) if len(page) == PART else None
        own, known = await self._known(page)
        if not known or not taken(page, known, own):
            return False
        async with self.store.begin() as unit:
            await self._join(unit, page, known, own)
        return True

    async def _known(self, page: list[Row]) -> tuple[dict[str, Row], dict[str, Row]]:
        """(clients' own ids that are known now, the batches of what waits)."""
        names = sorted({row["prediction_id"] for row in page if row["batch"] is None})
        found = await self._find("prediction_ids", "prediction_id", names)
        own = {row["prediction_id"]: row for row in found}
        ids = {row["batch"] for row in page if row["batch"] is not None} | {row["batch"] for row in found}
        return own, {row["batch"]: row for row in await self._find("batches", "batch", sorted(ids))}

    async def _find(self, table: str, column: str, values: list[str]) -> list[Row]:
        return await self.store.find(Query(table, (Where(column, "in", values),), limit=PART)) if values else []

    async def _join(self, unit: UnitOfWork, page: list[Row], known: dict[str, Row], own: dict[str, Row]) -> None:
        await unit.lock([source_lock(PLACE)])
        await unit.lock(sorted({lock_of(batch) for batch in known}))
        waiting = {row["prediction_id"] for row in page}
        keys = {(row["prediction_id"], row["event"]) for row in page}
        rows = await in_chunks(unit, "pending_outcomes", "prediction_id", sorted(waiting), limit=100_000)
        still = [row for row in rows if (row["prediction_id"], row["event"]) in keys]
        states = States(unit, PLACE, self.settings)
        joining = Joining(unit, states, self.tables, self.facts, self.settings.max_groups, now())
        await joining.load(list(known.values()))
        links = await links_of(unit, sorted(known))
        later: list[Change] = []
        for event, told in by_event(still, known, own):
            await joining.join(event, told)
            later += [change for shadow, outcomes in beside(told, links) for change in waits(shadow, outcomes)]
        await joining.write()
        await unit.apply([*taken(still, known, own), *later])
        await states.write()
        await tell(self.live, joining.stated)
