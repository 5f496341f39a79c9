"""A real PostgreSQL for the tests, started as the embedded system starts its own, and stores and logs on it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from muniment.embedded.folder import open_folder
from muniment.embedded.postgres import Postgres
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_store import PostgresStore
from shared.log.tables import Table


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """The address of a server for the whole session; `MUNIMENT_TEST_POSTGRES` names one that runs already."""
    if given := os.environ.get("MUNIMENT_TEST_POSTGRES"):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = open_folder(Path(name))
        server = Postgres(folder)
        asyncio.run(server.start())
        try:
            yield server.dsn
        finally:
            server.stop()
            folder.release()


class PostgresMaker:
    """Makes stores and logs in schemas of this test alone, and drops them with their roles at its end."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._suffix = uuid4().hex[:12]
        self._opened: list[PostgresStore | PostgresLog] = []
        self._schemas: set[str] = set()

    def schema(self, name: str) -> str:
        """The schema that stands for `name` in this test."""
        schema = f"{name}_{self._suffix}"
        self._schemas.add(schema)
        return schema

    async def store(self, tables: Sequence[Table] = (), name: str = "registry") -> PostgresStore:
        """An open store; the same name gives another store on the same data, as another process would have."""
        store = PostgresStore(self.dsn, self.schema(name), tables)
        self._opened.append(store)
        await store.setup()
        return store

    async def log(self, sources: Mapping[str, str] | None = None) -> PostgresLog:
        """An open log. `sources`: topic → name of the store that holds it."""
        named = {topic: self.schema(name) for topic, name in (sources or {}).items()}
        log = PostgresLog(self.dsn, named, self.schema("log"))
        self._opened.append(log)
        await log.setup()
        return log

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self._opened))
        connection = await asyncpg.connect(self.dsn)
        for schema in self._schemas:
            await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
            await connection.execute(f'DROP ROLE IF EXISTS "muniment_{schema}"')
        await connection.close()


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[PostgresMaker]:
    maker = PostgresMaker(postgres_dsn)
    yield maker
    await maker.close()
