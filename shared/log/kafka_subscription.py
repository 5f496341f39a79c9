"""One member of a consumer group, or a reader outside of any. Partitions come and go only between polls; each is sought
to where the store says.

aiokafka calls its rebalance listener from a task of its own and swallows what it raises. Here a revocation waits (a
while) until the caller is done with what it polled, and an error is kept and raised by the next poll.
"""
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
# aiokafka ships no types and declares its listener, which may be a coroutine, as a plain function

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import ceil
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPlace
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.log.kafka_records import records_of
from shared.log.log import Assigned, LogUnavailable, OffsetOutOfRange, Revoked
from shared.log.records import Bounds, Record, TopicPartition
from shared.runtime.settings import Settings

logger = structlog.get_logger()

Messages = dict[TopicPartition, list[Any]]

FETCH_WAIT_MS = 250
FETCH_BYTES = 32 * 2**20
PARTITION_FETCH_BYTES = 16 * 2**20
"""Not a limit on records: since fetch version 3 a broker returns at least one whole batch, however large."""

FOLLOWED_FETCH_BYTES = 2 * 2**20
"""The same outside of any group, where a whole log is read: so much of every partition lies in memory all the time."""

HAND_OVER = 0.5
"""Of a session: how long a revocation waits for work in hand; whoever takes longer is fenced."""

STOP_SECONDS = 5.0


class KafkaSubscription(ConsumerRebalanceListener):
    """See `shared.log.log.Subscription`."""

    def __init__(
        self,
        bootstrap: str,
        settings: Settings,
        group: str | None,
        topics: Sequence[str],
        assigned: Assigned,
        revoked: Revoked,
    ) -> None:
        self._hand_over_seconds = settings.kafka_session_seconds * HAND_OVER
        self._topics, self._assigned, self._revoked = list(topics), assigned, revoked
        self._places: set[TopicPartition] = set()
        self._last: TopicPartition | None = None
        self._idle, self._settled = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._failure: Exception | None = None
        self._consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=int(settings.kafka_session_seconds * 1_000),
            heartbeat_interval_ms=int(settings.kafka_heartbeat_seconds * 1_000),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES if group else FOLLOWED_FETCH_BYTES,
        )

    async def start(self, offsets: Mapping[TopicPartition, int] | None = None) -> None:
        """Join the group; or, with `offsets`, take just these partitions, from there on. Raises LogUnavailable."""
        if offsets is None:
            self._consumer.subscribe(self._topics, listener=self)
        try:
            await self._consumer.start()
            if offsets is not None:
                self._follow(offsets)
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"could not join the group: {error!r}") from error

    def _follow(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._consumer.assign([KafkaPlace(*place) for place in offsets])
        for place, offset in offsets.items():
            self._consumer.seek(KafkaPlace(*place), offset)
        self._places = set(offsets)
        self._settled.set()

    async def stop(self) -> None:
        self._idle.set()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._consumer.stop()
        except (KafkaError, OSError, TimeoutError) as error:
            logger.warning("consumer did not stop cleanly", error=repr(error))
        await self._give_back()

    async def poll(self, max_records: int, timeout: float) -> dict[TopicPartition, list[Record]]:
        self._idle.set()
        await asyncio.sleep(0)  # a fetch that waits for nothing never lets others run, nor can it be cancelled
        deadline = monotonic() + timeout
        if not await self._is_settled(timeout):
            return {}
        await asyncio.sleep(0)  # what is here already is taken without waiting: let others run, too
        polled = await self._in_turn(max_records)
        while not polled and (left := deadline - monotonic()) > 0:
            # whatever comes first; the others get their turn at the next poll
            polled = await self._fetched(max_records, left)
            self._raise_failure()
        if polled:
            self._idle.clear()
            self._last = next(reversed(polled))
        return {place: records_of(messages) for place, messages in polled.items()}

    async def _in_turn(self, max_records: int) -> Messages:
        """What is here already, beginning behind the partition served last, so that none starves behind a busy one."""
        places = sorted(self._places)
        first = bisect_right(places, self._last) if self._last else 0
        polled: Messages = {}
        room = max_records
        for place in places[first:] + places[:first]:
            try:
                found = await self._fetched(room, 0, place)
            except Exception as error:
                if not polled:
                    raise
                self._failure = error  # after what was taken already
                break
            polled |= found
            room -= sum(len(messages) for messages in found.values())
            if room <= 0:
                break
        return polled

    async def _fetched(self, max_records: int, timeout: float, *places: TopicPartition) -> Messages:
        """Raises OffsetOutOfRange, LogUnavailable."""
        try:
            found = await self._consumer.getmany(
                *(KafkaPlace(*place) for place in places), timeout_ms=ceil(timeout * 1000), max_records=max_records
            )
        except NoOffsetForPartitionError:
            return {}  # asked for before the listener sought; the position is set by now or soon
        except OffsetOutOfRangeError as error:
            raise await self._out_of_range(error) from error
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"cannot poll: {error!r}") from error
        return {TopicPartition(*place): messages for place, messages in found.items()}

    def seek(self, place: TopicPartition, offset: int) -> None:
        try:
            self._consumer.seek(KafkaPlace(*place), offset)
        except IllegalStateError:
            logger.info("seek on a partition that has been taken away", place=place)

    def assignment(self) -> set[TopicPartition]:
        return set(self._places)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        try:
            async with asyncio.timeout(self._hand_over_seconds):
                await self._idle.wait()
        except TimeoutError:
            logger.warning("partitions taken away while records of them are in hand", places=sorted(self._places))
        self._settled.clear()
        await self._give_back()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        places = [TopicPartition(*place) for place in sorted(assigned)]
        try:
            offsets = await self._assigned(places) if places else {}
            for place, offset in offsets.items():
                self._consumer.seek(KafkaPlace(*place), offset)
            self._places = set(places)
        except Exception as error:  # aiokafka would swallow it; the next poll raises it
            self._failure = error
        self._settled.set()

    async def _give_back(self) -> None:
        places, self._places = sorted(self._places), set()
        try:
            if places:
                await self._revoked(places)
        except Exception as error:
            self._failure = error

    async def _is_settled(self, timeout: float) -> bool:
        """Wait until partitions are assigned and sought. Raises what the listener met."""
        try:
            async with asyncio.timeout(timeout):  # not wait_for, which before Python 3.12 may swallow a cancellation
                await self._settled.wait()
        except TimeoutError:
            return False
        self._raise_failure()
        return True

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def _out_of_range(self, error: OffsetOutOfRangeError) -> Exception:
        ((place, offset),) = list(error.args[0].items())[:1]
        try:
            begin = await self._consumer.beginning_offsets([place])
            end = await self._consumer.end_offsets([place])
        except (KafkaError, OSError) as unreachable:
            return LogUnavailable(f"offset {offset} of {place} is out of range; bounds unknown: {unreachable!r}")
        return OffsetOutOfRange(TopicPartition(*place), offset, Bounds(begin[place], end[place]))
