"""Out of the archive: one prediction by its place, a whole batch, or all predictions of a slice, part by part."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from services.monitor.archive import blocks
from services.monitor.archive.files import Files, in_thread
from services.monitor.views.archive import BLOCKS, YOUNG
from shared.events import batches
from shared.log.store import Store
from shared.log.tables import Query, Row, Table, Where, cursor_of, equal

PAGE = 500
YOUNG_PAGE = 50
_BLOCK = ("block", "deployment", "model", "version", "rows", "start", "end", "path")
_END: Any = object()


@dataclass(frozen=True, slots=True)
class Span:
    """Which predictions: of a deployment, of one version or all, made within [since, until)."""

    deployment: str
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> tuple[Where, ...]:
        """Conditions that every block or young batch with such predictions meets."""
        found = list(equal(deployment=self.deployment))
        if self.version is not None:
            found.append(Where("version", "=", self.version))
        if self.since is not None:
            found.append(Where("end", ">=", self.since))
        if self.until is not None:
            found.append(Where("start", "<", self.until))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one version, with their columns `batch` and `row`, and where they come from: a block (of `source`,
    from row `position` on) or a young batch (its id, 0)."""

    source: Row
    position: int
    table: pa.Table

    @property
    def block(self) -> str | None:
        return self.source.get("block")


@dataclass(slots=True)
class Archive:
    """Reads what `writing` and `packing` keep. Raises Unreadable where a file is gone."""

    store: Store
    files: Files

    async def row(self, batch: str, number: int) -> dict[str, Any] | None:
        """One prediction as values by column; None where the archive does not hold its batch (yet)."""
        found = await self._found(batch)
        if found is None:
            young = await self.store.get("archive_young", batch)
            if young is not None:
                return batches.read(young["data"]).slice(number, 1).to_pylist()[0]
            found = await self._found(batch)  # it may have been packed a moment ago
        if found is None:
            return None
        row, path = found
        values = await in_thread(blocks.one, self.files, path, row["first"] + number)
        if (values[blocks.BATCH], values[blocks.ROW]) != (batch, number):
            raise ValueError(f"block {row['block']} holds other rows than the index says of batch {batch}")
        return {name: value for name, value in values.items() if name not in (blocks.BATCH, blocks.ROW)}

    async def holds(self, batch: str) -> bool:
        """Whether a batch is archived."""
        return bool(await self.store.get("archive_index", batch) or await self.store.get("archive_young", batch))

    async def listed(self, span: Span, after: str = "") -> AsyncIterator[Row]:
        """The blocks of a span in the order in which they were written, those behind block `after` alone."""
        where = (*span.where(), Where("block", ">", after))
        async for row in self._pages(BLOCKS, Query("archive_blocks", where, ("block",), PAGE, columns=_BLOCK)):
            yield row

    async def schemas(self, span: Span) -> list[pa.Schema]:
        """The columns of a span's blocks and young batches, each layout once."""
        found: dict[bytes, pa.Schema] = {}
        query = Query("archive_blocks", span.where(), ("block",), PAGE, columns=("block", "schema"))
        async for row in self._pages(BLOCKS, query):
            if row["schema"] not in found:
                found[row["schema"]] = pa.ipc.read_schema(pa.py_buffer(row["schema"]))
        layouts: set[str] = set()
        columns = ("batch", "layout")
        async for row in self._pages(YOUNG, Query("archive_young", span.where(), ("batch",), PAGE, columns=columns)):
            if row["layout"] not in layouts:
                layouts.add(row["layout"])
                young = await self.store.get("archive_young", row["batch"])
                if young is not None:
                    schema = batches.read(young["data"]).slice(0, 0)
                    found[row["layout"].encode()] = blocks.placed("", schema).schema
        return list(found.values())

    async def pieces(self, span: Span, after: str = "", position: int = 0, young: str = "") -> AsyncIterator[Piece]:
        """All rows of a span's blocks and young batches, unfiltered: the blocks behind `after` in order, the first of
        them from row `position` on, then the young batches behind `young`."""
        async for row in self.listed(span, after):
            async for piece in self._block(row, position):
                yield piece
            position = 0
        query = Query("archive_young", (*span.where(), Where("batch", ">", young)), ("batch",), YOUNG_PAGE)
        async for row in self._pages(YOUNG, query):
            yield Piece(row, 0, blocks.placed(row["batch"], batches.read(row["data"])))

    async def newest(self, span: Span) -> AsyncIterator[Piece]:
        """The same rows, those of the latest batches first, as far as their batches tell."""
        query = Query("archive_young", span.where(), ("-end",), YOUNG_PAGE)
        async for row in self._pages(YOUNG, query):
            yield Piece(row, 0, blocks.placed(row["batch"], batches.read(row["data"])))
        async for row in self._pages(BLOCKS, Query("archive_blocks", span.where(), ("-end",), PAGE, columns=_BLOCK)):
            async for piece in self._block(row, 0, backwards=True):
                yield piece

    async def _found(self, batch: str) -> tuple[Row, str] | None:
        row = await self.store.get("archive_index", batch)
        block = await self.store.get("archive_blocks", row["block"]) if row is not None else None
        return (row, block["path"]) if row is not None and block is not None else None

    async def _block(self, row: Row, position: int, backwards: bool = False) -> AsyncIterator[Piece]:
        reading: Iterator[pa.Table] = blocks.groups(self.files, row["path"], position // blocks.GROUP, backwards)
        at = position // blocks.GROUP * blocks.GROUP
        try:
            while (table := await in_thread(next, reading, _END)) is not _END:
                skipped = max(0, position - at)
                yield Piece(row, at + skipped, table.slice(skipped))
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
