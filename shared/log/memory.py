"""EventLog and Store in memory: for tests, under the same contract suites as the real ones."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from shared.log.log import Assigned, OffsetOutOfRange, Revoked, Subscription
from shared.log.memory_query import select
from shared.log.memory_unit import Committed, MemoryUnit
from shared.log.records import Bounds, Outgoing, Record, TopicPartition
from shared.log.store import Claim, InUse, UnitOfWork
from shared.log.tables import Query, Row, Table


class MemoryLog:
    """A log with `partitions` partitions per topic. Record times never run backwards."""

    def __init__(self, partitions: int = 1) -> None:
        self._partitions = partitions
        self._records: dict[TopicPartition, list[Record]] = {}
        self._arrived = asyncio.Event()

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        positions: list[tuple[int, int]] = []
        for outgoing in records:
            place = TopicPartition(topic, crc32(outgoing.key.encode()) % self._partitions)
            kept = self._kept(place)
            kept.append(
                Record(
                    topic, place.partition, len(kept), outgoing.key, outgoing.headers, outgoing.value, datetime.now(UTC)
                )
            )
            positions.append((place.partition, len(kept) - 1))
        self._arrived.set()
        self._arrived = asyncio.Event()
        return positions

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: Sequence[str], assigned: Assigned, revoked: Revoked
    ) -> AsyncGenerator[Subscription, None]:
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(self._partitions)]
        subscription = _MemorySubscription(self, await assigned(places))
        yield subscription
        await revoked(places)

    @asynccontextmanager
    async def follow(self, offsets: Mapping[TopicPartition, int]) -> AsyncGenerator[Subscription, None]:
        yield _MemorySubscription(self, dict(offsets))

    async def read(self, place: TopicPartition, offset: int, count: int = 1) -> list[Record]:
        kept = self._kept(place)
        if not 0 <= offset <= len(kept):
            raise OffsetOutOfRange(place, offset, Bounds(0, len(kept)))
        return kept[offset : offset + count]

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(self._partitions)]
        return {place: Bounds(0, len(self._kept(place))) for place in places}

    async def arrival(self, timeout: float) -> None:
        """Wait until something is published, or for `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):  # wait_for may swallow a cancellation before Python 3.12
                await self._arrived.wait()
        except TimeoutError:
            return

    def _kept(self, place: TopicPartition) -> list[Record]:
        return self._records.setdefault(place, [])


class _MemorySubscription:
    def __init__(self, log: MemoryLog, offsets: dict[TopicPartition, int]) -> None:
        self._log, self._offsets = log, offsets

    async def poll(self, max_records: int, timeout: float) -> dict[TopicPartition, list[Record]]:
        found = await self._take(max_records)
        if found:
            return found
        await self._log.arrival(timeout)
        return await self._take(max_records)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._offsets[place] = offset

    def assignment(self) -> set[TopicPartition]:
        return set(self._offsets)

    async def _take(self, room: int) -> dict[TopicPartition, list[Record]]:
        found: dict[TopicPartition, list[Record]] = {}
        for place, offset in list(self._offsets.items()):
            records = await self._log.read(place, offset, room)
            if records:
                found[place] = records
                del self._offsets[place]  # to the end, so that the others are read first next time
                self._offsets[place] = records[-1].offset + 1
                room -= len(records)
            if room <= 0:
                break
        return found


class MemoryStore:
    """What one service keeps, in dictionaries. Units of work stage their changes and commit them at once."""

    def __init__(self, service: str, tables: Sequence[Table]) -> None:
        self.service = service
        self.tables = {table.name: table for table in tables}
        self.committed = Committed(self.tables)

    async def setup(self) -> None:
        return None

    async def close(self) -> None:
        return None

    @asynccontextmanager
    async def begin(self, together: bool = False) -> AsyncGenerator[UnitOfWork, None]:
        unit = MemoryUnit(self.committed)
        try:
            yield unit
            unit.commit()
        finally:
            unit.release()

    async def claim(self, consumer: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, Claim]:
        claims: dict[TopicPartition, Claim] = {}
        for place in places:
            old = self.committed.claims.get((consumer, place), Claim(place, 0, 0))
            claims[place] = Claim(place, old.epoch + 1, old.next_offset)
            self.committed.claims[consumer, place] = claims[place]
        return claims

    async def get(self, table: str, *key: Any) -> Row | None:
        row = self.committed.rows[table].get(key)
        return dict(row) if row is not None else None

    async def find(self, query: Query) -> list[Row]:
        return select(self.tables[query.table], self.committed.rows[query.table].values(), query)

    async def wait_seen(self, event_id: str, timeout: float) -> bool:
        async def until_seen() -> None:
            while event_id not in self.committed.seen:
                await self.committed.changed.wait()

        try:
            async with asyncio.timeout(timeout):  # wait_for may swallow a cancellation before Python 3.12
                await until_seen()
        except TimeoutError:
            return False
        return True

    async def offsets(self) -> dict[tuple[str, TopicPartition], int]:
        return {name: claim.next_offset for name, claim in self.committed.claims.items()}

    async def outbox(self, topic: str, after: int, limit: int) -> list[Record]:
        return self.committed.outbox[topic][after : after + limit]

    async def relayed(self, topic: str) -> int:
        return self.committed.relayed.get(topic, 0)

    async def set_relayed(self, topic: str, offset: int) -> None:
        self.committed.relayed[topic] = offset

    async def relay_lag(self, topics: Sequence[str]) -> int:
        return sum(len(self.committed.outbox[topic]) - self.committed.relayed.get(topic, 0) for topic in topics)

    async def waiting_dead_letters(self) -> dict[str, int]:
        return dict(Counter(consumer for consumer, _, _ in self.committed.letters))

    @asynccontextmanager
    async def relaying(self) -> AsyncGenerator[None, None]:
        async with self.committed.relay_lock:
            yield

    async def wait_appended(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):  # wait_for may swallow a cancellation before Python 3.12
                await self.committed.changed.wait()
        except TimeoutError:
            return

    @asynccontextmanager
    async def filling(self) -> AsyncGenerator[None, None]:
        if self.committed.filled:
            raise InUse(f"the views of {self.service} are being filled already")
        self.committed.filled = True
        try:
            yield
        finally:
            self.committed.filled = False

    async def is_filled(self) -> bool:
        return self.committed.filled

    @asynccontextmanager
    async def loading(self, tables: Sequence[str]) -> AsyncGenerator[None, None]:
        yield

    async def clear_views(self, consumer: str) -> None:
        for name, rows in self.committed.rows.items():
            if not self.tables[name].stays:
                rows.clear()
        for name in [name for name in self.committed.claims if name[0] == consumer]:
            del self.committed.claims[name]
        for letter in [letter for letter in self.committed.letters if letter[0] == consumer]:
            del self.committed.letters[letter]
        self.committed.heads.pop(consumer, None)
