"""Reading Kafka outside any group: single records by place, and the bounds of partitions.

One consumer with all partitions assigned by hand and paused; a read seeks, resumes, fetches and pauses again, so that
nothing is fetched between reads.
"""
# pyright: reportMissingTypeStubs=false
# aiokafka ships no types

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPlace
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from shared.log.kafka_records import record_of
from shared.log.log import LogUnavailable, OffsetOutOfRange
from shared.log.records import Bounds, Record, TopicPartition

FETCH_WAIT_MS = 10
"""Short, since a seek waits for the fetch under way."""

PARTITION_FETCH_BYTES = 2**18
"""Of one answer; a larger record comes whole. Most reads want one record, and the rest is dropped."""
READ_SECONDS = 10.0
METADATA_SECONDS = 30.0


class KafkaReader:
    """Connects at the first use and again after an error."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer: Any = None
        self._lock = asyncio.Lock()
        self._partitions: dict[str, tuple[float, set[int]]] = {}
        self._assigned: set[TopicPartition] = set()
        self._known: dict[TopicPartition, Bounds] = {}

    async def close(self) -> None:
        async with self._lock:
            await self._drop()

    async def read(self, place: TopicPartition, offset: int, count: int) -> list[Record]:
        """Up to `count` records from `offset` on. Raises OffsetOutOfRange, LogUnavailable."""
        async with self._lock:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    return await self._read(place, offset, count)
            except OffsetOutOfRangeError as error:
                self._known.pop(place, None)
                bounds = (await self._bounds([place]))[place]
                raise OffsetOutOfRange(place, offset, bounds) from error
            except (KafkaError, OSError, TimeoutError) as error:
                await self._drop()
                raise LogUnavailable(f"cannot read {place.topic}[{place.partition}]: {error!r}") from error

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        """Raises LogUnavailable, also for a topic that does not exist."""
        async with self._lock:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    places = [
                        TopicPartition(topic, number) for topic in topics for number in await self._numbers(topic)
                    ]
                    return await self._bounds(places)
            except (KafkaError, OSError, TimeoutError) as error:
                await self._drop()
                raise LogUnavailable(f"cannot tell the bounds of {', '.join(topics)}: {error!r}") from error

    async def _read(self, place: TopicPartition, offset: int, count: int) -> list[Record]:
        known = self._known.get(place)
        if known is None or not known.begin <= offset <= offset + count <= known.end:
            known = (await self._bounds([place]))[place]
        if not known.begin <= offset <= known.end:
            raise OffsetOutOfRange(place, offset, known)
        wanted = min(count, known.end - offset)
        if wanted <= 0:
            return []
        consumer = await self._assigned_to(place)
        at = KafkaPlace(*place)
        consumer.seek(at, offset)
        consumer.resume(at)
        try:
            return await self._fetch(consumer, at, wanted)
        finally:
            consumer.pause(at)
            # drops what was fetched beyond: a consumer that holds records of one partition asks the same broker for no
            # others until a tenth of a second has passed
            consumer.seek(at, offset)

    async def _fetch(self, consumer: Any, at: KafkaPlace, wanted: int) -> list[Record]:
        records: list[Record] = []
        while len(records) < wanted:
            polled = await consumer.getmany(at, timeout_ms=1_000, max_records=wanted - len(records))
            records += [record_of(message) for message in polled.get(at, [])]
        return records

    async def _bounds(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        consumer = await self._open()
        asked = [KafkaPlace(*place) for place in places]
        if not asked:
            return {}
        ends: list[Any] = [consumer.beginning_offsets(asked), consumer.end_offsets(asked)]
        begin, end = await asyncio.gather(*ends)
        found = {TopicPartition(*place): Bounds(begin[place], end[place]) for place in asked}
        self._known |= found
        return found

    async def _numbers(self, topic: str) -> list[int]:
        until, numbers = self._partitions.get(topic, (0.0, set[int]()))
        if monotonic() > until:
            consumer = await self._open()
            # the public calls tell only of topics subscribed to or assigned
            numbers = set(await consumer._client._wait_on_metadata(topic))
            self._partitions[topic] = (monotonic() + METADATA_SECONDS, numbers)
        return sorted(numbers)

    async def _assigned_to(self, place: TopicPartition) -> Any:
        consumer = await self._open()
        if place not in self._assigned:
            self._assigned |= {TopicPartition(place.topic, number) for number in await self._numbers(place.topic)}
            self._assigned.add(place)
            places = [KafkaPlace(*each) for each in sorted(self._assigned)]
            consumer.assign(places)
            consumer.pause(*places)
            for each in places:  # a place without position would make the consumer look for one
                consumer.seek(each, 0)
        return consumer

    async def _open(self) -> Any:
        if self._consumer is None:
            consumer: Any = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                enable_auto_commit=False,
                auto_offset_reset="none",
                fetch_max_wait_ms=FETCH_WAIT_MS,
                max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._assigned.clear()
        self._partitions.clear()
        self._known.clear()
        if consumer is not None:
            await asyncio.wait([asyncio.ensure_future(consumer.stop())], timeout=READ_SECONDS)
