"""One transaction whose locks are not held while the disk writes, and which is on disk all the same when it has ended.

A commit that waits for the disk keeps its locks for as long, and whoever appends to a stream holds the row that hands
out positions. So the commit itself does not wait (`synchronous_commit = off`, for this transaction alone), and a
statement behind it does: it writes to the WAL and waits until that, and with it all that came before, is flushed. The
server flushes once for all that wait. Whoever sees the rows in between and passes them on out of this database must
flush first (`flush`). PostgreSQL manual, "Asynchronous Commit" and `pg_logical_emit_message`.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.log.postgres.connection import Connection, Executor, Pool

BEGIN = "BEGIN; SET LOCAL synchronous_commit TO off"
ROLLBACK = "ROLLBACK"
COMMIT = "COMMIT"
FLUSH = "SELECT pg_logical_emit_message(true, 'muniment', '')"
"""Transactional, so that its commit also waits for standbys where the server is told to; nobody reads the message."""
COMMIT_AND_FLUSH = f"{COMMIT}; {FLUSH}"
"""In one message: the locks are free after the first statement, and the answer comes after the second."""


class Written:
    """A connection in a transaction. `wrote`: whether something may have been written: what is executed or copied. What
    is fetched only reads, or something executed follows."""

    def __init__(self, connection: Connection | Pool) -> None:
        self._connection, self.wrote = connection, False

    async def to_write(self) -> Connection | Pool:
        """The connection, from now on one that wrote."""
        self.wrote = True
        return self._connection

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Run what writes; the server's status."""
        return await (await self.to_write()).execute(query, *args, timeout=timeout)

    async def executemany(self, command: str, args: Iterable[Any]) -> None:
        """Run what writes, once for each of `args`."""
        await (await self.to_write()).executemany(command, args)

    async def copy_records_to_table(
        self, table_name: str, *, schema_name: str, columns: Sequence[str], records: Iterable[Any]
    ) -> str:
        """Insert records as asyncpg does."""
        connection = await self.to_write()
        return await connection.copy_records_to_table(
            table_name, schema_name=schema_name, columns=columns, records=records
        )

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        """Read rows."""
        return await self._connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """Read a row, or None."""
        return await self._connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Read the first value of a row, or None."""
        return await self._connection.fetchval(query, *args)


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncGenerator[Written, None]:
    """A transaction that commits when the block ends well and is on disk then; it leaves no trace otherwise."""
    await connection.execute(BEGIN)
    written = Written(connection)
    try:
        yield written
    except BaseException:
        await connection.execute(ROLLBACK)
        raise
    await connection.execute(COMMIT_AND_FLUSH if written.wrote else COMMIT)


async def flush(executor: Executor) -> None:
    """Wait until all that others have committed so far is on disk."""
    await executor.execute(FLUSH)
