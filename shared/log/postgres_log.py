"""EventLog in PostgreSQL: tables of events are the log, and topics without a stream get a table of records.

Each topic is one partition. The latest subscriber of a group owns it; an older one goes on until the store fences it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic

from shared.log.log import Assigned, LogUnavailable, Revoked, Subscription
from shared.log.postgres.connection import Pool, connect, open_pool, unavailable_as
from shared.log.postgres.ddl import log_ddl, quoted
from shared.log.postgres.reading import pack, read_bounds, read_within
from shared.log.postgres.roles import prepare_schema
from shared.log.postgres.values import clean
from shared.log.postgres.wakes import NOTIFY, Wakes, channel
from shared.log.records import Bounds, Outgoing, Record, TopicPartition

LOOK_SECONDS = 1.0
"""How often a subscription looks for itself, should a wake have been lost."""

GROUP_BYTES = 8 * 2**20
GROUP_RECORDS = 5_000
"""Records published together in one statement, while the one before was under way."""


@dataclass(slots=True)
class _Waiting:
    records: Sequence[Outgoing]
    answer: "asyncio.Future[list[tuple[int, int]]]"


class PostgresLog:
    """`sources`: for each topic that is some store's outbox, the schema of that store. Of no use before `setup`."""

    def __init__(self, dsn: str, sources: Mapping[str, str], schema: str = "log") -> None:
        self._dsn, self._schema, self._sources = dsn, schema, dict(sources)
        self._sql = quoted(schema)
        channels = {channel(source, "appended") for source in self._sources.values()}
        self.wakes = Wakes(dsn, sorted(channels | {channel(schema, "appended")}))
        self._waiting: dict[str, list[_Waiting]] = defaultdict(list)
        self._writers: dict[str, asyncio.Task[None]] = {}
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
                    await connection.execute(log_ddl(self._schema))
            finally:
                await connection.close()
            self._opened = await open_pool(self._dsn, role)
            await self.wakes.start()

    async def close(self) -> None:
        """Finish what is being published, and disconnect."""
        await asyncio.gather(*self._writers.values(), return_exceptions=True)
        await self.wakes.stop()
        pool, self._opened = self._opened, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if topic in self._sources:
            raise ValueError(f"{topic} is kept in the events of {self._sources[topic]}: append there, do not publish")
        if not records:
            return []
        waiting = _Waiting(records, asyncio.get_running_loop().create_future())
        self._waiting[topic].append(waiting)
        if topic not in self._writers:
            self._writers[topic] = asyncio.create_task(self._write_all(topic))
        return await waiting.answer

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: Sequence[str], assigned: Assigned, revoked: Revoked
    ) -> AsyncGenerator[Subscription, None]:
        places = [TopicPartition(topic, 0) for topic in topics]
        subscription = _PostgresSubscription(self, await assigned(places))
        try:
            yield subscription
        finally:
            await revoked(places)

    async def read(self, place: TopicPartition, offset: int, count: int = 1) -> list[Record]:
        with unavailable_as(LogUnavailable):
            return await read_within(self._pool, self._table(place.topic), place, offset, count)

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        with unavailable_as(LogUnavailable):
            return {
                TopicPartition(topic, 0): await read_bounds(self._pool, self._table(topic), topic) for topic in topics
            }

    def rung(self, topic: str) -> int:
        """A number that grows whenever the topic may have new records."""
        return self.wakes.count(channel(self._sources.get(topic, self._schema), "appended"), topic)

    @property
    def _pool(self) -> Pool:
        if self._opened is None:
            raise LogUnavailable("the log is not open")
        return self._opened

    def _table(self, topic: str) -> str:
        source = self._sources.get(topic)
        return f"{quoted(source)}.events" if source else f"{self._sql}.records"

    async def _write_all(self, topic: str) -> None:
        """Write what waits, group by group, until nothing does."""
        try:
            while group := _next_group(self._waiting[topic]):
                await self._write_group(topic, group)
        finally:
            del self._writers[topic]

    async def _write_group(self, topic: str, group: list[_Waiting]) -> None:
        try:
            with unavailable_as(LogUnavailable):
                offset = await self._insert(topic, [record for waiting in group for record in waiting.records])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, LogUnavailable):
                for waiting in group:  # one of them cannot be kept; the others can
                    await self._write_group(topic, [waiting])
                return
            for waiting in group:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_result([(0, offset + place) for place in range(len(waiting.records))])
            offset += len(waiting.records)

    async def _insert(self, topic: str, records: Sequence[Outgoing]) -> int:
        """Write records behind the topic's last, in one statement; returns the first offset."""
        async with self._pool.acquire() as connection:
            # Who holds the row of `heads` is alone in taking offsets, until it commits.
            rows = await connection.fetch(
                f"""
WITH head AS (
    INSERT INTO {self._sql}.heads AS h VALUES ($1, $2, clock_timestamp())
    ON CONFLICT (topic) DO UPDATE SET next_offset = h.next_offset + $2,
        recorded = greatest(h.recorded, clock_timestamp())
    RETURNING next_offset - $2 AS first, recorded)
INSERT INTO {self._sql}.records (topic, "offset", key, headers, value, recorded)
SELECT $1, head.first + r.place - 1, r.key, r.headers, r.value, head.recorded
FROM head, unnest($3::text[], $4::bytea[], $5::bytea[]) WITH ORDINALITY AS r (key, headers, value, place)
RETURNING "offset" """,
                topic,
                len(records),
                [clean(record.key) for record in records],
                [pack(record.headers) for record in records],
                [record.value for record in records],
            )
            with suppress(Exception):  # it has committed; who is not woken looks for itself
                await connection.execute(NOTIFY, [channel(self._schema, "appended")], [topic])
        return min(row[0] for row in rows)


def _next_group(waiting: list[_Waiting]) -> list[_Waiting]:
    group: list[_Waiting] = []
    records = size = 0
    while waiting and (not group or (records < GROUP_RECORDS and size < GROUP_BYTES)):
        group.append(waiting.pop(0))
        records += len(group[-1].records)
        size += sum(len(record.value) for record in group[-1].records)
    return group


class _PostgresSubscription:
    """Reads its topics in turn; one that was read to its end rests until it rings or LOOK_SECONDS have passed."""

    def __init__(self, log: PostgresLog, offsets: dict[TopicPartition, int]) -> None:
        self._log, self._offsets = log, offsets
        self._rest: dict[TopicPartition, tuple[int, float]] = {}

    async def poll(self, max_records: int, timeout: float) -> dict[TopicPartition, list[Record]]:
        end = monotonic() + timeout
        while True:
            found = await self._take(max_records)
            left = end - monotonic()
            if found or left <= 0:
                return found
            await self._log.wakes.until(lambda: any(map(self._due, self._offsets)), min(left, LOOK_SECONDS))

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._offsets[place] = offset
        self._rest.pop(place, None)

    def assignment(self) -> set[TopicPartition]:
        return set(self._offsets)

    def _due(self, place: TopicPartition) -> bool:
        rung, looked = self._rest.get(place, (-1, 0.0))
        return rung != self._log.rung(place.topic) or monotonic() - looked >= LOOK_SECONDS

    async def _take(self, room: int) -> dict[TopicPartition, list[Record]]:
        found: dict[TopicPartition, list[Record]] = {}
        for place in [place for place in self._offsets if self._due(place)]:
            rung = self._log.rung(place.topic)
            records: list[Record] = await self._log.read(place, self._offsets[place], room)
            if not records:
                self._rest[place] = (rung, monotonic())
                continue
            found[place] = records
            self._offsets[place] = self._offsets.pop(place) + len(records)  # read the others first next time
            room -= len(records)
            if room <= 0:
                break
        return found
