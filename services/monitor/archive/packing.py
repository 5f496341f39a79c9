"""Young batches into blocks: where there are enough of one kind, where the oldest has waited long enough, and all that
are listed where there are too many to list."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.monitor.archive import blocks
from services.monitor.archive.blocks import Group, Part
from services.monitor.archive.files import Files, in_thread
from services.monitor.views.archive import YOUNG
from shared.events import batches
from shared.log.store import Store, UnitOfWork
from shared.log.tables import Change, Delete, Query, Row, Where, cursor_of, equal
from shared.runtime.commands import new_id, now
from shared.runtime.settings import Settings

PAGE = 5_000
MAX_LISTED = 50_000
CHUNK = 500
MAX_BATCHES = 20_000
_COLUMNS = ("batch", "deployment", "model", "version", "day", "layout", "rows", "arrived")


@dataclass(slots=True)
class _Waiting:
    rows: int
    batches: int
    oldest: datetime


@dataclass(slots=True)
class Packing:
    """Packs what is ripe. Of one kind one worker packs at a time; a killed one leaves a file, and nothing else."""

    store: Store
    files: Files
    settings: Settings

    async def run(self) -> None:
        """Pack everything that is ripe now."""
        for group in await self._ripe():
            while await self._pack(group):
                continue

    async def _ripe(self) -> list[Group]:
        waiting: dict[Group, _Waiting] = {}
        listed = 0
        query = Query("archive_young", order=("arrived",), limit=PAGE, columns=_COLUMNS)
        while listed < MAX_LISTED:
            rows = await self.store.find(query)
            listed += len(rows)
            for row in rows:
                found = waiting.setdefault(_group(row), _Waiting(0, 0, row["arrived"]))
                found.rows, found.batches = found.rows + row["rows"], found.batches + 1
            if len(rows) < PAGE:
                break
            query = replace(query, after=cursor_of(YOUNG, query, rows[-1]))
        crowded = listed >= MAX_LISTED
        return [group for group, found in waiting.items() if crowded or self._enough(found)]

    def _enough(self, found: _Waiting) -> bool:
        waited = now() - found.oldest >= timedelta(seconds=self.settings.archive_after_seconds)
        return waited or found.rows >= self.settings.archive_block_rows or found.batches >= MAX_BATCHES

    async def _pack(self, group: Group) -> bool:
        """Pack one block's worth; whether as much may be left."""
        where = {"deployment": group.deployment, "version": group.version, "day": group.day, "layout": group.layout}
        async with self.store.begin() as unit:
            await unit.lock([f"monitor.archive/{group.deployment}/{group.version}/{group.day}"])
            rows = await unit.find(Query("archive_young", equal(**where), limit=MAX_BATCHES, columns=("batch", "rows")))
            chosen = _first(rows, self.settings.archive_block_rows)
            if not chosen:
                return False
            parts = await _parts(unit, chosen)
            changes: list[Change] = await in_thread(blocks.write, self.files, group, new_id(), parts)
            changes += [Delete("archive_young", {"batch": part.batch}) for part in parts]
            await unit.apply(changes)
        return len(chosen) < len(rows)


async def _parts(unit: UnitOfWork, names: Sequence[str]) -> list[Part]:
    parts: list[Part] = []
    for place in range(0, len(names), CHUNK):
        where = (Where("batch", "in", list(names[place : place + CHUNK])),)
        rows = await unit.find(Query("archive_young", where, limit=CHUNK, columns=("batch", "start", "end", "data")))
        parts += [Part(row["batch"], row["start"], row["end"], batches.read(row["data"])) for row in rows]
    return parts


def _first(rows: Sequence[Row], limit: int) -> list[str]:
    chosen: list[str] = []
    total = 0
    for row in rows:
        if chosen and total + row["rows"] > limit:
            break
        chosen.append(row["batch"])
        total += row["rows"]
    return chosen


def _group(row: Row) -> Group:
    return Group(row["deployment"], row["model"], row["version"], row["day"], row["layout"])
