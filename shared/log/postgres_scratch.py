"""A store for a while: in a schema of its own beside the one it stands for, dropped when it is no longer needed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from shared.log.postgres.connection import Connection, connect, unavailable_as
from shared.log.postgres.ddl import number, quoted
from shared.log.postgres.roles import PREFIX
from shared.log.postgres_store import PostgresStore
from shared.log.store import InUse, StoreUnavailable
from shared.log.tables import Table

__all__ = ["InUse", "scratch_store"]

SUFFIX = "_check"


@asynccontextmanager
async def scratch_store(dsn: str, schema: str, tables: Sequence[Table]) -> AsyncGenerator[PostgresStore, None]:
    """An empty store of these tables beside the one in `schema`. One that a killed process left is dropped first.

    Raises InUse while another process has it, and StoreUnavailable.
    """
    name = schema + SUFFIX
    with unavailable_as(StoreUnavailable):
        connection = await connect(dsn)
    try:
        # Held by the session, so that it is free again however this process ends.
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", number(name, "scratch")):
            raise InUse(f"the views of {schema} are being checked already, in the schema {name}")
        await _drop(connection, name)
        store = PostgresStore(dsn, name, tables)
        try:
            await store.setup()
            yield store
        finally:
            await store.close()
            await _drop(connection, name)
    finally:
        connection.terminate()


async def _drop(connection: Connection, schema: str) -> None:
    role = PREFIX + schema
    with unavailable_as(StoreUnavailable):
        await connection.execute(f"DROP SCHEMA IF EXISTS {quoted(schema)} CASCADE")
        if await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"DROP ROLE {quoted(role)}")
