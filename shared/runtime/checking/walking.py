"""Two stores walked side by side in key order, some rows of each in memory at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shared.log.store import Store
from shared.log.tables import ColumnType, Query, Row, Table, Where, cursor_of
from shared.runtime.checking.rows import Cells, cells
from shared.runtime.service import Merging

FIRST_PAGE, MOST = 50, 2_000
PAGE_BYTES = 4 * 2**20
"""What a page of rows should come to, by the size of those before."""

MAX_MERGED = 100_000
"""Rows that are merged into one at most."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of a view as it is compared: of its own, or merged."""

    key: Key
    row: Row
    cells: Cells


@dataclass(slots=True)
class View:
    """One table as it is compared. `key`: the columns that name what is compared."""

    table: Table
    merging: Merging | None = None
    _page: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def key(self) -> tuple[str, ...]:
        return self.merging.by if self.merging else self.table.key

    async def walk(self, store: Store) -> AsyncIterator[Compared]:
        """Everything in key order."""
        together: list[Row] = []
        async for row in self._rows(store):
            if together and (self.merging is None or self._named(together[0]) != self._named(row)):
                yield self._compared(together)
                together = []
            together.append(row)
        if together:
            yield self._compared(together)

    async def one(self, store: Store, key: Key) -> Compared | None:
        """What bears this key."""
        where = tuple(Where(name, "=", value) for name, value in zip(self.key, key, strict=True))
        rows = await store.find(Query(self.table.name, where, limit=MAX_MERGED))
        return self._compared(rows) if rows else None

    def named(self, key: Key) -> Row:
        """A key with the names of its columns."""
        return dict(zip(self.key, key, strict=True))

    def kind(self, column: str) -> ColumnType:
        return self.table.columns[column]

    async def _rows(self, store: Store) -> AsyncIterator[Row]:
        query = Query(self.table.name, limit=FIRST_PAGE)
        while rows := await store.find(query):
            for row in rows:
                yield row
            if len(rows) < query.limit:
                return
            size = sum(map(_size, rows)) // len(rows) or 1
            limit = max(1, min(MOST, PAGE_BYTES // size))
            query = Query(self.table.name, limit=limit, after=cursor_of(self.table, query, rows[-1]))

    def _named(self, row: Row) -> Key:
        return tuple(row[name] for name in self.key)

    def _compared(self, rows: Sequence[Row]) -> Compared:
        row = rows[0]
        if self.merging:
            with suppress(Exception):  # altered rows may not be readable: they are compared as they are
                row = self.merging.merge(rows)
        columns: dict[str, ColumnType] = {name: kind for name, kind in self.table.columns.items() if name in row}
        return Compared(self._named(rows[0]), row, cells(columns, row))


async def pairs(view: View, live: Store, scratch: Store) -> AsyncIterator[tuple[Compared | None, Compared | None]]:
    """(live, replayed) for every key of either, in key order; None where a side lacks it."""
    ours, theirs = view.walk(live), view.walk(scratch)
    one, other = await anext(ours, None), await anext(theirs, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.key < other.key):
            yield one, None
            one = await anext(ours, None)
        elif one is None or other.key < one.key:
            yield None, other
            other = await anext(theirs, None)
        else:
            yield one, other
            one, other = await anext(ours, None), await anext(theirs, None)


def _size(row: Row) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 100 for value in row.values())
