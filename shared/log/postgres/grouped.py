"""Units of work that only append and keep an answer, as requests do, written in groups.

Such a unit reads in no transaction (each statement sees what is committed, as it would in one). It holds back what it
appends until its block ends, and then waits for one transaction that writes what all such units bring meanwhile: who
takes positions holds a row, and with a turn for each unit all others would wait for its round trips. Streams, too, are
read together with what others ask for. A unit that does more goes on in a transaction of its own, after what it held
back.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from shared.events.codec import decode
from shared.events.envelope import Event
from shared.log.postgres.appending import Appender, Held
from shared.log.postgres.connection import Connection, Pool
from shared.log.postgres.reading import record_of
from shared.log.postgres.stream_reads import StreamReads
from shared.log.postgres.transaction import BEGIN, COMMIT, COMMIT_AND_FLUSH, ROLLBACK, Written
from shared.log.postgres.unit import PostgresUnit
from shared.log.store import IdempotencyRecord
from shared.log.tables import Table


class Deferred(Written):
    """Reads by any connection of the pool, until the first thing that needs a transaction. `settle` is awaited before
    the first thing is written in it."""

    def __init__(self, pool: Pool, closing: AsyncExitStack) -> None:
        super().__init__(pool)
        self._pool, self._closing = pool, closing
        self.opened: Connection | None = None
        self.settle: Callable[[], Awaitable[None]] | None = None

    async def open(self) -> Connection:
        """Begin the transaction, where none is open yet."""
        if self.opened is None:
            connection = await self._closing.enter_async_context(self._pool.acquire())
            await connection.execute(BEGIN)
            self.opened = self._connection = connection
        return self.opened

    async def to_write(self) -> Connection:
        """The transaction, with what was held back written in it."""
        connection = await self.open()
        if not self.wrote:
            self.wrote = True
            if self.settle is not None:
                await self.settle()
        return connection


class GroupedUnit(PostgresUnit):
    """`held`: what is to be written together with others'; empty once this unit writes by itself."""

    def __init__(self, connection: Deferred, reads: StreamReads, schema: str, tables: dict[str, Table]) -> None:
        super().__init__(connection, schema, tables)
        self._deferred, self._reads = connection, reads
        self.held = Held()
        connection.settle = self._settle

    async def append(self, subject: str, expected: int | None, events: Sequence[Event]) -> list[Event]:
        if expected is None:
            await self._deferred.to_write()
        if self._deferred.wrote or expected is None:
            return await super().append(subject, expected, events)
        placed = self.held.append(subject, expected, events)
        self.appended.add(subject)
        return placed

    async def keep_idempotency(self, key: str, record: IdempotencyRecord) -> None:
        if self._deferred.wrote:
            await super().keep_idempotency(key, record)
        else:
            self.held.answer = (key, record)

    async def load(self, subject: str, after: int = 0) -> list[Event]:
        return await self.load_many({subject: after})

    async def load_many(self, after: Mapping[str, int]) -> list[Event]:
        if self.held.streams.keys() & after.keys():
            await self._deferred.to_write()
        if self._deferred.wrote:
            return await super().load_many(after)
        return [decode(record_of(row)) for row in await self._reads.rows(after)]

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        await self._deferred.open()
        return await super().idempotency(key)

    async def lock(self, names: Sequence[str]) -> None:
        await self._deferred.open()
        await super().lock(names)

    async def _settle(self) -> None:
        held, self.held = self.held, Held()
        for subject, stream in held.streams.items():
            await super().append(subject, stream.expected, stream.events)
        if held.answer is not None:
            await super().keep_idempotency(*held.answer)


@asynccontextmanager
async def grouped(
    pool: Pool, appender: Appender, reads: StreamReads, schema: str, tables: dict[str, Table]
) -> AsyncGenerator[GroupedUnit, None]:
    """A unit of work of this kind. Where the block ends well, all is on disk afterwards; raises Conflict where another
    writer came first."""
    async with AsyncExitStack() as closing:
        deferred = Deferred(pool, closing)
        unit = GroupedUnit(deferred, reads, schema, tables)
        try:
            yield unit
            if unit.held:
                await appender.append(unit.held)  # locks are kept until then
        except BaseException:
            if deferred.opened is not None:
                await deferred.opened.execute(ROLLBACK)
            raise
        if deferred.opened is not None:
            await deferred.opened.execute(COMMIT_AND_FLUSH if deferred.wrote else COMMIT)
