"""The store with the entries of cold parts filled in, so that nobody who reads the ledger sees which are where."""

from dataclasses import dataclass, replace
from typing import Any, cast

from services.audit.parts.place import Place
from services.audit.parts.reading import ColdParts
from shared.log.store import Store
from shared.log.tables import Query, Row
from shared.runtime.problems import Problem
from shared.runtime.service import Service

LOST = 410
_NEEDED = ("cold", "leaf", "event_id")


@dataclass(frozen=True, slots=True)
class ColdStore:
    """All but `get` and `find` are the store's own; its units of work see the ledger as it is. `lenient`: an entry that
    is lost stays null instead of raising Problem 410."""

    store: Store
    parts: ColdParts
    lenient: bool = False

    async def get(self, table: str, *key: Any) -> Row | None:
        row = await self.store.get(table, *key)
        if row is not None and table == "ledger":
            await self._fill([row])
        return row

    async def find(self, query: Query) -> list[Row]:
        if query.table != "ledger" or (query.columns and "entry" not in query.columns):
            return await self.store.find(query)
        more = tuple(name for name in _NEEDED if query.columns and name not in query.columns)
        rows = await self.store.find(replace(query, columns=(*query.columns, *more)) if more else query)
        await self._fill(rows)
        for row in rows if more else ():
            for name in more:
                del row[name]
        return rows

    async def _fill(self, rows: list[Row]) -> None:
        if not self.lenient:
            await self.parts.fill(rows)
            return
        for row in rows:
            try:
                await self.parts.fill([row])
            except Problem as problem:
                if problem.status != LOST:
                    raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def with_parts(service: Service) -> Service:
    """The service with such a store, and a cache of its own."""
    parts = ColdParts(service.store, Place.of(service.settings), service.settings.ledger_cache_bytes)
    return replace(service, store=cast(Store, ColdStore(service.store, parts)))


def lenient(store: Store) -> Store:
    """The same store, for whoever looks for what is lost."""
    return cast(Store, replace(store, lenient=True)) if isinstance(store, ColdStore) else store
