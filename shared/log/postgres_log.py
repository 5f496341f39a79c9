"""EventLog in PostgreSQL: tables of events are the log, and topics without a stream get a table of records.

Each topic is one partition. The latest subscriber of a group owns it; an older one goes on until the store fences it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from shared.log.log import Assigned, LogUnavailable, Revoked, Subscription
from shared.log.postgres.connection import Pool, close_pool, connect, open_pool, unavailable_as
from shared.log.postgres.ddl import log_ddl, quoted
from shared.log.postgres.defining import define
from shared.log.postgres.publishing import Publisher
from shared.log.postgres.reading import read_bounds, read_within
from shared.log.postgres.roles import prepare_schema
from shared.log.postgres.subscription import PostgresSubscription
from shared.log.postgres.wakes import Wakes, channel
from shared.log.records import Bounds, Outgoing, Record, TopicPartition


class PostgresLog:
    """`sources`: for each topic that is some store's outbox, the schema of that store. Of no use before `setup`."""

    def __init__(self, dsn: str, sources: Mapping[str, str], schema: str = "log") -> None:
        self._dsn, self._schema, self._sources = dsn, schema, dict(sources)
        self._sql = quoted(schema)
        channels = {channel(source, "appended") for source in self._sources.values()}
        self._wakes = Wakes(dsn, sorted(channels | {channel(schema, "appended")}))
        self._publisher = Publisher(schema, lambda: self._pool)
        self._opened: Pool | None = None

    async def setup(self) -> None:
        """Create schema, role and tables, and connect; safe to repeat. Raises LogUnavailable."""
        if self._opened is not None:
            return
        with unavailable_as(LogUnavailable):
            connection = await connect(self._dsn)
            try:
                async with connection.transaction():
                    role = await prepare_schema(connection, self._schema, reads_events=True)
                    await define(connection, self._schema, log_ddl(self._schema))
            finally:
                await connection.close()
            self._opened = await open_pool(self._dsn, role)
            await self._wakes.start()

    async def close(self) -> None:
        """Finish what is being published, and disconnect."""
        await self._publisher.finish()
        await self._wakes.stop()
        pool, self._opened = self._opened, None
        if pool is not None:
            await close_pool(pool)

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if topic in self._sources:
            raise ValueError(f"{topic} is kept in the events of {self._sources[topic]}: append there, do not publish")
        if not records:
            return []
        return await self._publisher.publish(topic, records)

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: Sequence[str], assigned: Assigned, revoked: Revoked
    ) -> AsyncGenerator[Subscription, None]:
        places = [TopicPartition(topic, 0) for topic in topics]
        subscription = PostgresSubscription(self.read, self._rung, self._wakes, await assigned(places))
        try:
            yield subscription
        finally:
            await revoked(places)

    @asynccontextmanager
    async def follow(self, offsets: Mapping[TopicPartition, int]) -> AsyncGenerator[Subscription, None]:
        yield PostgresSubscription(self.read, self._rung, self._wakes, dict(offsets))

    async def read(self, place: TopicPartition, offset: int, count: int = 1) -> list[Record]:
        with unavailable_as(LogUnavailable):
            return await read_within(self._pool, self._table(place.topic), place, offset, count)

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        with unavailable_as(LogUnavailable):
            return {
                TopicPartition(topic, 0): await read_bounds(self._pool, self._table(topic), topic) for topic in topics
            }

    def _rung(self, topic: str) -> int:
        """A number that grows whenever the topic may have new records."""
        return self._wakes.count(channel(self._sources.get(topic, self._schema), "appended"), topic)

    @property
    def _pool(self) -> Pool:
        if self._opened is None:
            raise LogUnavailable("the log is not open")
        return self._opened

    def _table(self, topic: str) -> str:
        source = self._sources.get(topic)
        return f"{quoted(source)}.events" if source else f"{self._sql}.records"
