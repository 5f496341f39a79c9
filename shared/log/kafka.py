"""EventLog on Kafka, by aiokafka. Offsets live in each service's store; Kafka's own committed offsets are not used."""
# pyright: reportMissingTypeStubs=false
# aiokafka ships no types

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2  # pyright: ignore[reportUnknownVariableType]

from shared.log.kafka_reader import KafkaReader
from shared.log.kafka_subscription import KafkaSubscription
from shared.log.kafka_topics import ensure_topics
from shared.log.log import Assigned, LogUnavailable, Revoked, Subscription
from shared.log.records import Bounds, Outgoing, Record, TopicPartition
from shared.runtime.settings import Settings

logger = structlog.get_logger()

BATCH_BYTES = 2**20
LINGER_MS = 1
ACKNOWLEDGE_MS = 15_000
STOP_SECONDS = 5.0
KEYS_KNOWN = 10_000
"""Keys of which it is remembered where they go: facts about one thing come in numbers."""


@lru_cache(maxsize=KEYS_KNOWN)
def hashed(key: bytes) -> int:
    """The hash by which Kafka's Java clients choose a key's partition."""
    return murmur2(key) & 0x7FFFFFFF


def partition_of(key: bytes, every: list[int], available: list[int]) -> int:
    """Which of a topic's partitions a key goes to; its records are on one, whether that answers now or not. aiokafka
    chooses the same, but its hashing in Python took longer than sending did, and is done once per key here."""
    return every[hashed(key) % len(every)]


class KafkaLog:
    """The log on the brokers at `bootstrap` (host:port, comma-separated). Connects in `start`."""

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        self.bootstrap, self.settings = bootstrap, settings
        self._producer: Any = None
        self._reader = KafkaReader(bootstrap)
        self._changing = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> Self:
        """Connect and make sure that all topics are there. Raises LogUnavailable, TopicsWrong."""
        try:
            await ensure_topics(self.bootstrap, self.settings)
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"Kafka at {self.bootstrap}: {error!r}") from error
        await self._open_producer()
        return self

    async def close(self) -> None:
        if self._producer is not None:
            self._retire(self._producer)
        await asyncio.gather(*self._retiring, self._reader.close(), return_exceptions=True)

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Append records; returns (partition, offset) of each once every replica in sync has it.

        Raises LogUnavailable, and ValueError for a record larger than `kafka_max_message_bytes`: nothing of it is sent.
        """
        producer = self._producer or await self._open_producer()
        sent: list[asyncio.Future[object]] = []
        try:
            for record in records:
                headers = list(record.headers)
                sent.append(await producer.send(topic, record.value, record.key.encode(), headers=headers))
            # wait, not gather: a caller that is cancelled must not cancel what others' batches share
            await asyncio.wait(sent or [asyncio.ensure_future(asyncio.sleep(0))])
            return [_position(future) for future in sent]
        except MessageSizeTooLargeError as error:
            raise ValueError(f"record too large for the log: {error}") from error
        except (KafkaError, OSError) as error:
            # sequence numbers of a failed batch are spent: a new producer starts a sequence of its own
            self._retire(producer)
            raise LogUnavailable(f"Kafka did not acknowledge: {error!r}") from error

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: Sequence[str], assigned: Assigned, revoked: Revoked
    ) -> AsyncGenerator[Subscription, None]:
        subscription = KafkaSubscription(self.bootstrap, self.settings, group, topics, assigned, revoked)
        try:
            await subscription.start()
            yield subscription
        finally:
            await subscription.stop()

    @asynccontextmanager
    async def follow(self, offsets: Mapping[TopicPartition, int]) -> AsyncGenerator[Subscription, None]:
        subscription = KafkaSubscription(self.bootstrap, self.settings, None, (), _given, _taken)
        try:
            await subscription.start(offsets)
            yield subscription
        finally:
            await subscription.stop()

    async def read(self, place: TopicPartition, offset: int, count: int = 1) -> list[Record]:
        return await self._reader.read(place, offset, count)

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        return await self._reader.bounds(topics)

    async def _open_producer(self) -> Any:
        async with self._changing:
            if self._producer is None:
                choose: Any = partition_of
                producer: Any = AIOKafkaProducer(
                    bootstrap_servers=self.bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    compression_type=None,
                    partitioner=choose,
                    linger_ms=LINGER_MS,
                    max_batch_size=BATCH_BYTES,
                    max_request_size=self.settings.kafka_max_message_bytes,
                    request_timeout_ms=ACKNOWLEDGE_MS,
                )
                try:
                    await producer.start()
                except (KafkaError, OSError) as error:
                    await producer.stop()
                    raise LogUnavailable(f"Kafka at {self.bootstrap}: {error!r}") from error
                self._producer = producer
            return self._producer

    def _retire(self, producer: Any) -> None:
        """Stop a producer beside the work; others may still wait for its acknowledgements."""
        if self._producer is not producer:
            return
        self._producer = None

        async def stop() -> None:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await producer.stop()
            except (KafkaError, OSError, TimeoutError) as error:
                logger.warning("producer did not stop cleanly", error=repr(error))

        task = asyncio.create_task(stop())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _given(places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    raise AssertionError(f"outside of a group nobody gives partitions: {places}")


async def _taken(places: Sequence[TopicPartition]) -> None:
    return None


def _position(future: asyncio.Future[object]) -> tuple[int, int]:
    metadata = future.result()
    partition, offset = getattr(metadata, "partition", -1), getattr(metadata, "offset", -1)
    if offset < 0:  # a late duplicate that the broker dropped without telling where the first one is
        raise LogUnavailable("Kafka has the records but did not tell where")
    return partition, offset
