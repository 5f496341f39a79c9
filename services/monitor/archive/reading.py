"""Out of the archive: one prediction by its place, a whole batch, or all predictions of a slice, part by part."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.monitor.archive import blocks
from services.monitor.archive.files import Files, in_thread
from services.monitor.span import Span
from services.monitor.views.archive import BLOCKS, YOUNG
from shared.events import batches
from shared.log.store import Store
from shared.log.tables import Query, Row, Table, Where, cursor_of

PAGE = 500
YOUNG_PAGE = 50
MAX_PATHS = 10_000
_BLOCK = ("block", "deployment", "model", "version", "rows", "start", "end", "path")
_END: Any = object()
_ENDS = ("start", "end")
_WHOLE = 2**31 - 1
PLACE = "place"


@dataclass(frozen=True, slots=True)
class Place:
    """How far someone has read: all blocks before `block`, of it the rows before `position`; and of the young batches
    all before `young`, of it the rows before `row`. Blocks written after young batches were read may hold them."""

    block: str = ""
    position: int = 0
    young: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one version with their columns, and `batch`, `row` and `place`: the row's position in its block, or
    in its young batch. `behind(place)` is where to go on behind such a row."""

    deployment: str
    version: int
    table: pa.Table
    behind: Callable[[int], Place]


_START = Place()


@dataclass(slots=True)
class Archive:
    """Reads what `writing` and `packing` keep. Raises Unreadable where a file is gone."""

    store: Store
    files: Files
    _paths: dict[str, str] = field(default_factory=dict[str, str])

    async def row(self, batch: str, number: int) -> dict[str, Any] | None:
        """One prediction as values by column; None where the archive does not hold its batch (yet), or no such row."""
        found = await self._found(batch)
        if found is None:
            young = await self.store.get("archive_young", batch)
            if young is not None:
                return next(iter(batches.read(young["data"]).slice(number, 1).to_pylist()), None)
            found = await self._found(batch)  # it may have been packed a moment ago
        if found is None or number >= found[0]["rows"]:
            return None
        row, path = found
        values = await in_thread(blocks.one, self.files, path, row["first"] + number)
        if (values[blocks.BATCH], values[blocks.ROW]) != (batch, number):
            raise ValueError(f"block {row['block']} holds other rows than the index says of batch {batch}")
        return {name: value for name, value in values.items() if name not in (blocks.BATCH, blocks.ROW)}

    async def holds(self, batch: str) -> bool:
        """Whether a batch is archived."""
        return bool(await self.store.get("archive_index", batch) or await self.store.get("archive_young", batch))

    async def schemas(self, span: Span) -> list[pa.Schema]:
        """The columns of a span's blocks and young batches, each layout once."""
        found: dict[bytes, pa.Schema] = {}
        query = Query("archive_blocks", span.where(*_ENDS), ("block",), PAGE, columns=("block", "schema"))
        async for row in self._pages(BLOCKS, query):
            if row["schema"] not in found:
                found[row["schema"]] = pa.ipc.read_schema(pa.py_buffer(row["schema"]))
        layouts: set[str] = set()
        columns = ("batch", "layout")
        async for row in self._pages(
            YOUNG, Query("archive_young", span.where(*_ENDS), ("batch",), PAGE, columns=columns)
        ):
            if row["layout"] not in layouts:
                layouts.add(row["layout"])
                young = await self.store.get("archive_young", row["batch"])
                if young is not None:
                    schema = batches.read(young["data"]).slice(0, 0)
                    found[row["layout"].encode()] = blocks.placed("", schema).schema
        return list(found.values())

    async def pieces(self, span: Span, start: Place = _START) -> AsyncIterator[Piece]:
        """All rows of a span's blocks in the order in which they were written, then of its young batches; unfiltered,
        from `start` on. Each comes once, whatever is packed meanwhile."""
        waiting = await self._young_ids(span, start.young)
        where = (*span.where(*_ENDS), Where("block", ">=", start.block))
        query = Query("archive_blocks", where, ("block",), PAGE, columns=_BLOCK)
        listed = [row async for row in self._pages(BLOCKS, query)]
        for row in listed:
            mine = row["block"] == start.block
            behind = partial(_in_block, row["block"], start)
            async for table in self._block(row, start.position if mine else 0):
                fresh = table if mine or not start.young else _unread(table, start)
                yield Piece(row["deployment"], row["version"], fresh, behind)
        read = {row["block"] for row in listed}
        highest = max([start.block, *read])
        for row in waiting:
            table = await self._waiting(row["batch"], read)
            if table is not None:
                fresh = table.slice(start.row) if row["batch"] == start.young else table
                yield Piece(span.deployment, row["version"], fresh, partial(_in_young, highest, row["batch"]))

    async def newest(self, span: Span) -> AsyncIterator[pa.Table]:
        """The same rows, those of the latest batches first, as far as their batches tell."""
        async for row in self._pages(YOUNG, Query("archive_young", span.where(*_ENDS), ("-end",), YOUNG_PAGE)):
            yield blocks.placed(row["batch"], batches.read(row["data"]))
        async for row in self._pages(
            BLOCKS, Query("archive_blocks", span.where(*_ENDS), ("-end",), PAGE, columns=_BLOCK)
        ):
            async for table in self._block(row, 0, backwards=True):
                yield table

    async def _found(self, batch: str) -> tuple[Row, str] | None:
        """A batch's row of the index and the path of its block, which never changes."""
        row = await self.store.get("archive_index", batch)
        if row is None:
            return None
        path = self._paths.get(row["block"])
        if path is None:
            block = await self.store.get("archive_blocks", row["block"])
            if block is None:
                return None
            if len(self._paths) >= MAX_PATHS:
                self._paths.pop(next(iter(self._paths)))
            path = self._paths[row["block"]] = block["path"]
        return row, path

    async def _young_ids(self, span: Span, first: str) -> list[Row]:
        where = (*span.where(*_ENDS), Where("batch", ">=", first))
        columns = ("batch", "version")
        return [
            row async for row in self._pages(YOUNG, Query("archive_young", where, ("batch",), PAGE, columns=columns))
        ]

    async def _waiting(self, batch: str, read: set[str]) -> pa.Table | None:
        """A batch that was young a moment ago; None where it lies in a block that was read, or has expired."""
        young = await self.store.get("archive_young", batch)
        if young is not None:
            return _numbered(blocks.placed(batch, batches.read(young["data"])), 0)
        found = await self._found(batch)
        if found is None or found[0]["block"] in read:
            return None
        row, path = found
        return _numbered(await in_thread(blocks.part, self.files, path, row["first"], row["rows"]), 0)

    async def _block(self, row: Row, position: int, backwards: bool = False) -> AsyncIterator[pa.Table]:
        reading: Iterator[pa.Table] = blocks.groups(self.files, row["path"], position // blocks.GROUP, backwards)
        at = position // blocks.GROUP * blocks.GROUP
        try:
            while (table := await in_thread(next, reading, _END)) is not _END:
                yield _numbered(table, at).slice(max(0, position - at))
                at += table.num_rows
        finally:
            await in_thread(reading.close)  # type: ignore[attr-defined]

    async def _pages(self, table: Table, query: Query) -> AsyncIterator[Row]:
        while True:
            rows = await self.store.find(query)
            for row in rows:
                yield row
            if len(rows) < query.limit:
                return
            query = replace(query, after=cursor_of(table, query, rows[-1]))


def _numbered(table: pa.Table, first: int) -> pa.Table:
    return table.append_column(PLACE, pa.array(np.arange(first, first + table.num_rows), pa.int64()))


def _unread(table: pa.Table, start: Place) -> pa.Table:
    """Of a block written since: the rows behind those that were read while they were young."""
    batch, row = table.column(blocks.BATCH), table.column(blocks.ROW)
    within = pc.and_(pc.equal(batch, start.young), pc.greater_equal(row, start.row))
    return table.filter(pc.or_(pc.greater(batch, start.young), within))


def _in_block(block: str, start: Place, position: int) -> Place:
    return Place(block, position + 1, start.young, start.row)


def _in_young(highest: str, batch: str, row: int) -> Place:
    return Place(highest, _WHOLE, batch, row + 1)
