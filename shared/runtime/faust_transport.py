# pyright: basic
# faust ships partial types

"""A consumer driven by a Faust agent instead of the plain loop: Faust shares out the partitions and reads ahead.

State and offsets stay in the store's unit of work, so Faust's own commit (at least once) is only a hint: what it brings
again is skipped, what it does not bring is read from the log, and a stale owner is fenced. Faust's tables, with their
changelogs and standby replicas, are not needed. One stream per agent, no web server, short sessions (ADR 4).
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faust
import structlog

from shared.log.log import OffsetOutOfRange
from shared.log.records import Record, TopicPartition
from shared.runtime.consumer import INTERRUPTIONS, Consumer, NotYet
from shared.runtime.faust_kafka import Consumer as AtOnceConsumer

logger = structlog.get_logger()

TAKE = 800
TAKE_SECONDS = 0.1
"""Records handed on together, and how long is waited for so many: each partition's share of them is a unit of work,
whose cost is the same for few and many."""

BUFFER = 1_000
"""Records that wait for the agent at most, of up to 100 KiB each with 1,000 predictions."""

SWEEP_SECONDS = 2.0


class FaustConsumer:
    """Runs one `Consumer` under Faust. `run` ends only by cancellation or where Faust itself gives up."""

    def __init__(self, consumer: Consumer, bootstrap: str, folder: Path) -> None:
        self.consumer = consumer
        self._folder = folder / "faust"
        self._locks: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._free = asyncio.Semaphore(consumer.at_once)
        self.app = faust.App(
            consumer.name,
            broker=f"kafka://{bootstrap}",
            store="memory://",
            datadir=str(self._folder),
            web_enabled=False,
            autodiscover=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=1,
            broker_session_timeout=consumer.settings.kafka_session_seconds,
            broker_heartbeat_interval=consumer.settings.kafka_heartbeat_seconds,
            broker_max_poll_records=500,
            stream_buffer_maxsize=BUFFER,
            broker_commit_interval=0.5,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=consumer.settings.kafka_max_message_bytes,
            processing_guarantee="at_least_once",
        )
        topic = self.app.topic(*consumer.topics, key_serializer="raw", value_serializer="raw")
        self.app.agent(topic, concurrency=1, name=consumer.name)(self._agent)
        self.app.on_partitions_revoked.connect(self._revoked, weak=False)  # pyright: ignore[reportArgumentType]

    async def run(self) -> None:
        """Start Faust in this event loop; leave its group cleanly when cancelled."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.app.transport.Consumer = AtOnceConsumer  # pyright: ignore[reportAttributeAccessIssue]
        try:
            await self.app.start()
            async with asyncio.TaskGroup() as tasks:
                sweeping = tasks.create_task(self._sweep())
                await self.app.wait_until_stopped()
                sweeping.cancel()
        finally:
            await asyncio.shield(self.app.stop())

    async def _agent(self, stream: Any) -> None:
        async for events in stream.take_events(TAKE, TAKE_SECONDS):
            by_place: dict[TopicPartition, list[Record]] = defaultdict(list)
            for event in events:
                record = _record(event.message)
                by_place[record.place].append(record)
            await asyncio.gather(*(self._until_applied(*one) for one in by_place.items()))

    async def _until_applied(self, place: TopicPartition, records: Sequence[Record]) -> None:
        """Faust acknowledges even what raised, so nothing is raised: try until applied, or the partition is gone."""
        while True:
            try:
                async with self._locks[place], self._free:
                    await self.consumer.catch_up(place, records)
                return
            except Exception as error:
                self._waits(place, error)
            if place not in self._owned():
                return
            await asyncio.sleep(self.consumer.settings.consumer_retry_seconds)

    def _waits(self, place: TopicPartition, error: Exception) -> None:
        self.consumer.problem = f"{place.topic}[{place.partition}] waits: {error!r}"
        if isinstance(error, NotYet):
            return
        self.consumer.forget(place)
        known = isinstance(error, (*INTERRUPTIONS, OffsetOutOfRange))
        log = logger.warning if known else logger.error
        log("agent waits", consumer=self.consumer.name, place=place, error=repr(error))

    async def _sweep(self) -> None:
        """What Faust took for done before the store had it, as after a rebuild of the views, is read from the log."""
        before: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                kept = await self._behind()
                for place, offset in kept.items():
                    if before.get(place) == offset and not self._locks[place].locked():
                        self.consumer.forget(place)  # whoever moved the offset back fenced the claim
                        await self._fill(place, offset)
                before = kept
            except (*INTERRUPTIONS, OffsetOutOfRange) as error:
                self.consumer.problem = f"sweep: {error!r}"

    async def _fill(self, place: TopicPartition, offset: int) -> None:
        """Apply what the log holds from this offset on, to its end, while the partition is this worker's."""
        count = self.consumer.settings.consumer_max_records
        while place in self._owned() and (records := await self.consumer.log.read(place, offset, count)):
            await self._until_applied(place, records)
            offset = records[-1].offset + 1

    async def _behind(self) -> dict[TopicPartition, int]:
        """The offsets kept of the own partitions that are not read to their end."""
        bounds = await self.consumer.log.bounds(self.consumer.topics)
        kept = await self.consumer.store.offsets()
        places = {place: kept.get((self.consumer.name, place), 0) for place in self._owned() & bounds.keys()}
        return {place: offset for place, offset in places.items() if offset < bounds[place].end}

    def _owned(self) -> set[TopicPartition]:
        return {TopicPartition(place.topic, place.partition) for place in self.app.consumer.assignment()}

    async def _revoked(self, sender: Any, revoked: set[Any], **_: Any) -> None:
        for place in revoked:
            self.consumer.forget(TopicPartition(place.topic, place.partition))


def _record(message: Any) -> Record:
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return Record(
        message.topic,
        message.partition,
        message.offset,
        (message.key or b"").decode(),
        tuple(headers),
        message.value,
        datetime.fromtimestamp(message.timestamp, UTC),
    )
