"""Store in PostgreSQL: one schema and role per service."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from shared.log.postgres.appending import Appender
from shared.log.postgres.connection import Connection, Pool, close_pool, connect, open_pool, unavailable_as
from shared.log.postgres.ddl import (
    indexes_ddl,
    no_indexes_ddl,
    number,
    quoted,
    store_ddl,
    tables_ddl,
    view_name,
)
from shared.log.postgres.defining import define, defined_sql, undefined_sql
from shared.log.postgres.filling import filling, is_filled
from shared.log.postgres.grouped import grouped
from shared.log.postgres.reading import read_records
from shared.log.postgres.roles import let_log_read, prepare_schema
from shared.log.postgres.stream_reads import AT_ONCE, StreamReads
from shared.log.postgres.transaction import flush, transaction
from shared.log.postgres.unit import PostgresUnit, find_rows, get_row
from shared.log.postgres.values import clean
from shared.log.postgres.wakes import NOTIFY, Wakes, channel
from shared.log.records import Record, TopicPartition
from shared.log.store import Claim, StoreUnavailable, UnitOfWork
from shared.log.tables import Query, Row, Table

SEEN_KEPT = 100_000
PRUNE_EVERY = 10_000
INDEXED_AT_ONCE = 2
LOOK_SECONDS = 1.0
"""How often who waits looks for itself, should a wake have been lost."""


class PostgresStore:
    """What one service keeps, in its `schema`. Of no use before `setup`.

    Text is kept with U+FFFD for NUL, which PostgreSQL cannot hold; the events themselves keep their bytes.
    """

    def __init__(self, dsn: str, schema: str, tables: Sequence[Table], idempotency_seconds: float = 86_400) -> None:
        self.service = schema
        self.tables = {table.name: table for table in tables}
        self._dsn, self._schema, self._sql = dsn, schema, quoted(schema)
        self._idempotency_seconds = idempotency_seconds
        self._appended, self._seen = channel(schema, "appended"), channel(schema, "seen")
        self._wakes = Wakes(dsn, [self._appended, self._seen])
        self._appends_known = 0
        self._marked = self._answers_kept = 0
        self._role: str | None = None
        self._opened: Pool | None = None
        self._appending: Appender | None = None
        self._reading: StreamReads | None = None

    async def setup(self) -> None:
        """Create or extend schema, role and tables, and connect; safe to repeat. Raises StoreUnavailable."""
        if self._opened is not None:
            return
        with unavailable_as(StoreUnavailable):
            connection = await connect(self._dsn)
            try:
                async with connection.transaction():
                    self._role = await prepare_schema(connection, self._schema)
                    if await define(connection, self._schema, self._ddl) and self._role:
                        await let_log_read(connection, self._schema)
            finally:
                await connection.close()
            self._opened = await open_pool(self._dsn, self._role)
            self._appending = Appender(self._schema, await open_pool(self._dsn, self._role, 1), self._rang)
            self._reading = StreamReads(self._schema, await open_pool(self._dsn, self._role, AT_ONCE))
            await self._wakes.start()

    async def close(self) -> None:
        await self._wakes.stop()
        appender, self._appending = self._appending, None
        if appender is not None:
            await appender.close()
        reads, self._reading = self._reading, None
        if reads is not None:
            await reads.close()
        pool, self._opened = self._opened, None
        if pool is not None:
            await close_pool(pool)

    @asynccontextmanager
    async def begin(self, together: bool = False) -> AsyncGenerator[UnitOfWork, None]:
        with unavailable_as(StoreUnavailable):
            if together:
                async with grouped(self._pool, self._appender, self._reads, self._schema, self.tables) as unit:
                    yield unit
                return
            async with self._pool.acquire() as connection:
                async with transaction(connection) as written:
                    unit = PostgresUnit(written, self._schema, self.tables)
                    yield unit
                await self._committed(connection, unit)

    async def claim(self, consumer: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, Claim]:
        rows = await self._fetch(
            f"INSERT INTO {self._sql}.claims AS c SELECT $1, *, 1, 0 FROM unnest($2::text[], $3::integer[])"
            " ON CONFLICT (consumer, topic, partition) DO UPDATE SET epoch = c.epoch + 1"
            " RETURNING topic, partition, epoch, next_offset",
            consumer,
            [place.topic for place in sorted(places)],
            [place.partition for place in sorted(places)],
        )
        claims = [Claim(TopicPartition(row[0], row[1]), row[2], row[3]) for row in rows]
        return {claim.place: claim for claim in claims}

    async def get(self, table: str, *key: Any) -> Row | None:
        with unavailable_as(StoreUnavailable):
            return await get_row(self._pool, self._schema, self.tables[table], key)

    async def find(self, query: Query) -> list[Row]:
        with unavailable_as(StoreUnavailable):
            return await find_rows(self._pool, self._schema, self.tables[query.table], query)

    async def wait_seen(self, event_id: str, timeout: float) -> bool:
        end = asyncio.get_running_loop().time() + timeout
        while True:
            rung = self._wakes.count(self._seen)
            if await self._fetch(f"SELECT 1 FROM {self._sql}.seen WHERE event_id = $1", clean(event_id)):
                return True
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await self._wakes.until(lambda rung=rung: self._wakes.count(self._seen) != rung, min(left, LOOK_SECONDS))

    async def offsets(self) -> dict[tuple[str, TopicPartition], int]:
        rows = await self._fetch(f"SELECT consumer, topic, partition, next_offset FROM {self._sql}.claims")
        return {(row[0], TopicPartition(row[1], row[2])): row[3] for row in rows}

    async def outbox(self, topic: str, after: int, limit: int) -> list[Record]:
        with unavailable_as(StoreUnavailable):
            records = await read_records(self._pool, f"{self._sql}.events", topic, after, limit)
            if records:
                await flush(self._pool)  # what goes out into the log must not get lost here
            return records

    async def relayed(self, topic: str) -> int:
        rows = await self._fetch(f"SELECT next_offset FROM {self._sql}.relayed WHERE topic = $1", topic)
        return rows[0][0] if rows else 0

    async def set_relayed(self, topic: str, offset: int) -> None:
        await self._fetch(
            f"INSERT INTO {self._sql}.relayed VALUES ($1, $2) ON CONFLICT (topic) DO UPDATE SET next_offset = $2",
            topic,
            offset,
        )

    async def relay_lag(self, topics: Sequence[str]) -> int:
        rows = await self._fetch(
            f"""SELECT coalesce(sum(
                coalesce((SELECT max("offset") + 1 FROM {self._sql}.events e WHERE e.topic = t.topic), 0)
                - coalesce((SELECT next_offset FROM {self._sql}.relayed r WHERE r.topic = t.topic), 0)), 0)::bigint
            FROM unnest($1::text[]) AS t(topic)""",
            list(topics),
        )
        return rows[0][0]

    async def waiting_dead_letters(self) -> dict[str, int]:
        rows = await self._fetch(f"SELECT consumer, count(*) FROM {self._sql}.dead_letters GROUP BY consumer")
        return {row[0]: row[1] for row in rows}

    @asynccontextmanager
    async def relaying(self) -> AsyncGenerator[None, None]:
        with unavailable_as(StoreUnavailable):
            connection = await connect(self._dsn, self._role)
            ask, name = "SELECT pg_try_advisory_lock($1)", number(self._schema, "relay")
            try:
                # Asked again and again, because a statement that waits keeps VACUUM from its work.
                while not await connection.fetchval(ask, name):  # noqa: ASYNC110 (the other is another process)
                    await asyncio.sleep(LOOK_SECONDS)
                yield
            finally:
                connection.terminate()

    async def wait_appended(self, timeout: float) -> None:
        await self._wakes.until(lambda: self._wakes.count(self._appended) != self._appends_known, timeout)
        self._appends_known = self._wakes.count(self._appended)

    def filling(self) -> AbstractAsyncContextManager[None]:
        return filling(self._dsn, self._role, self._schema)

    async def is_filled(self) -> bool:
        with unavailable_as(StoreUnavailable):
            return await is_filled(self._pool, self._schema)

    @asynccontextmanager
    async def loading(self, tables: Sequence[str]) -> AsyncGenerator[None, None]:
        loaded = [self.tables[name] for name in tables]
        await self._define(undefined_sql(self._schema) + no_indexes_ddl(self._schema, loaded))
        stopping = False
        try:
            yield
        except asyncio.CancelledError:
            stopping = True  # a process that is told to end does not build indexes first
            raise
        finally:
            if not stopping:
                await self._index(loaded)
                await self._define(defined_sql(self._schema, self._ddl))

    async def clear_views(self, consumer: str) -> None:
        names = [name for name, table in self.tables.items() if not table.stays]
        views = ", ".join(f"{self._sql}.{quoted(view_name(name))}" for name in names)
        with unavailable_as(StoreUnavailable):
            async with self._pool.acquire() as connection, connection.transaction():
                if views:
                    await connection.execute(f"TRUNCATE {views}")
                # The claims stay, so that an owner from before is fenced.
                await connection.execute(
                    f"UPDATE {self._sql}.claims SET epoch = epoch + 1, next_offset = 0 WHERE consumer = $1", consumer
                )
                await connection.execute(f"DELETE FROM {self._sql}.heads WHERE consumer = $1", consumer)
                await connection.execute(f"DELETE FROM {self._sql}.dead_letters WHERE consumer = $1", consumer)

    @property
    def _ddl(self) -> str:
        return store_ddl(self._schema) + tables_ddl(self._schema, [*self.tables.values()])

    @property
    def _pool(self) -> Pool:
        if self._opened is None:
            raise StoreUnavailable(f"the store of {self._schema} is not open")
        return self._opened

    @property
    def _appender(self) -> Appender:
        if self._appending is None:
            raise StoreUnavailable(f"the store of {self._schema} is not open")
        return self._appending

    @property
    def _reads(self) -> StreamReads:
        if self._reading is None:
            raise StoreUnavailable(f"the store of {self._schema} is not open")
        return self._reading

    async def _index(self, tables: Sequence[Table]) -> None:
        """Build the indexes, INDEXED_AT_ONCE at a time: each keeps one process of the server at work."""
        free = asyncio.Semaphore(INDEXED_AT_ONCE)

        async def build(sql: str) -> None:
            async with free:
                await self._define(sql)

        async with asyncio.TaskGroup() as building:
            for sql in indexes_ddl(self._schema, tables):
                building.create_task(build(sql))

    async def _define(self, sql: str) -> None:
        with unavailable_as(StoreUnavailable):
            connection = await connect(self._dsn)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

    async def _fetch(self, sql: str, *parameters: Any) -> list[Any]:
        with unavailable_as(StoreUnavailable):
            return await self._pool.fetch(sql, *parameters)

    async def _committed(self, connection: Connection, unit: PostgresUnit) -> None:
        with contextlib.suppress(Exception):  # it has committed: what follows only hastens or tidies
            await self._rang(connection, unit.topics, unit.answers_kept, unit.marked)

    async def _rang(self, connection: Connection, topics: set[str], answers: int, marked: int = 0) -> None:
        """Wake who waits, outside the transaction: a commit that notifies keeps every other from committing. And forget
        what is too old."""
        rings = [(self._appended, topic) for topic in sorted(topics)]
        if marked:
            rings.append((self._seen, ""))
        if rings:
            await connection.execute(NOTIFY, [ring[0] for ring in rings], [ring[1] for ring in rings])
        self._marked += marked
        if self._marked >= PRUNE_EVERY:
            self._marked = 0
            await connection.execute(
                f"DELETE FROM {self._sql}.seen WHERE position <= (SELECT max(position) FROM {self._sql}.seen) - $1",
                SEEN_KEPT,
            )
        self._answers_kept += answers
        if self._answers_kept >= PRUNE_EVERY:
            self._answers_kept = 0
            await connection.execute(
                f"DELETE FROM {self._sql}.idempotency WHERE kept_at < now() - make_interval(secs => $1)",
                self._idempotency_seconds,
            )
