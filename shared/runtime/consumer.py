"""The consumer loop: records as they come off the log, partition by partition or several together, applied in order.

How they are applied, each once, is in `applying.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from time import monotonic
from typing import Any

import structlog

from shared.events.envelope import Event
from shared.log.log import OffsetOutOfRange, Subscription
from shared.log.records import Record, TopicPartition
from shared.log.store import Fenced
from shared.runtime.applying import FILLED, INTERRUPTIONS, Applier, NotYet
from shared.runtime.received import Opened, Received, Slice, by_partition, open_record, portions

__all__ = ["FILLED", "INTERRUPTIONS", "Consumer", "NotYet", "Received"]

logger = structlog.get_logger()

NOT_YET_PAUSE_SECONDS = 0.1

TOGETHER = 2
"""Times `consumer_max_records` that a unit of work of a consumer of `together` may hold."""

SLICES = 2
"""Units of work that a poll of such a consumer may come to."""

REFILLED_TOGETHER = 4_000
"""Records of one unit of work of a rebuild."""

REFILLED_BYTES = 8 * 2**20
"""Bytes of records from which on such a unit takes no more."""

POLLED_TOGETHER = 200
"""Records that a rebuild takes off the log at once: as many as the processor's caches hold with all they come to."""

OPENED_AT_ONCE = 50
"""Records decoded and folded before whatever else waits in this process gets its turn: some milliseconds."""


@dataclass(slots=True)
class Consumer(Applier):
    """One consumer group of one service at work, until it is cancelled."""

    together: bool = False
    """Whether `handle` may get the records of several partitions at once: small partitions then share a transaction."""

    fold: Callable[[Event, Record], Any] | None = None
    """The pure part of `handle`, for consumers that work `together`: done for the next records while the store is at
    work on the last ones. `handle` does it itself for records that come without."""

    at_once: int = 1
    """Partitions at work at the same time, each in a unit of work of its own as if a worker of its own had it; for
    handlers that spend their time outside this loop. Above 1 nothing may depend on the order between partitions; but
    what one poll brought is taken topic by topic, as they are named, since later ones may speak of earlier ones."""

    loads: tuple[str, ...] = ()
    """Views whose indexes wait while this consumer is more than `consumer_load_lag` behind, as in a rebuild."""

    loading: bool = False
    _emptied: bool = False

    async def run(self) -> None:
        """Consume until cancelled. After a failure of log or store it joins again after `consumer_retry_seconds`."""
        while True:
            try:
                await self._consume()
            except OffsetOutOfRange as error:
                self._report(f"{error}; the views are no longer those of the log: restore the log or rebuild the views")
            except INTERRUPTIONS as error:
                self._report(f"{type(error).__name__}: {error}")
            except Exception as error:
                self._report(f"unexpected {error!r}")
                logger.exception("consumer failed", consumer=self.name)
            await asyncio.sleep(self.settings.consumer_retry_seconds)

    async def lag(self) -> int:
        """Records between this consumer's kept offsets and the log's end, over all partitions of its topics. Notices
        where the views were emptied behind its back: an idle consumer gets no record at which it would be fenced."""
        bounds = await self.log.bounds(self.topics)
        owned = dict(self._claims)  # before the offsets are read, which only grow while the claims hold
        kept = await self.store.offsets()
        if any(kept.get((self.name, place), 0) < claim.next_offset for place, claim in owned.items()):
            self._emptied = True
        return sum(bound.end - kept.get((self.name, place), 0) for place, bound in bounds.items())

    def stuck(self, lag: int) -> str | None:
        """Why readiness should fail, if it should, given the lag just measured."""
        idle = monotonic() - self._progress
        if lag == 0:
            self._progress = monotonic()
            return None
        if idle > self.settings.consumer_stuck_seconds:
            problem = self.problem or "no error"
            return f"{self.name} has not advanced for {idle:.0f} s with {lag} records waiting: {problem}"
        if lag > self.settings.consumer_max_lag:
            return f"{self.name} is {lag} records behind, more than {self.settings.consumer_max_lag}"
        return None

    async def catch_up(self, place: TopicPartition, records: Sequence[Record]) -> None:
        """Apply records that another transport brought: skip what was applied, read from the log what is missing.

        Raises what `run` would retry: NotYet, Fenced, StoreUnavailable, LogUnavailable.
        """
        if place not in self._claims:
            await self._assigned([place])
        while (missing := records[0].offset - self._claims[place].next_offset) > 0:
            count = min(missing, self.settings.consumer_max_records)
            await self._partition(place, await self.log.read(place, self._claims[place].next_offset, count))
        fresh = [record for record in records if record.offset >= self._claims[place].next_offset]
        if fresh:
            await self._partition(place, fresh)

    async def _consume(self) -> None:
        async with self._subscribed() as subscription, AsyncExitStack() as loading:
            self.loading = bool(self.loads) and await self.lag() > self.settings.consumer_load_lag
            if self.loading:
                await loading.enter_async_context(self.store.loading(self.loads))
            if self.together and self.share is not None:
                await self._refill(subscription)
            most = self.settings.consumer_max_records * (TOGETHER * SLICES if self.together else 1)
            while True:
                self._begin_anew_if_emptied()
                polled = await subscription.poll(most, self.settings.consumer_poll_seconds)
                if self.loading and sum(map(len, polled.values())) < most // 2 and await self.lag() < most:
                    await loading.aclose()
                    self.loading = False
                if self.together:
                    await self._in_slices(polled, subscription)
                else:
                    await self._each(list(polled.items()), subscription)

    @asynccontextmanager
    async def _subscribed(self) -> AsyncGenerator[Subscription, None]:
        if self.share is None:
            while await self.store.is_filled():
                self.problem = FILLED
                await asyncio.sleep(self.settings.consumer_retry_seconds)
            async with self.log.subscribe(self.name, self.topics, self._assigned, self._revoked) as subscription:
                yield subscription
        else:
            async with self.log.follow(await self._assigned(list(self.share))) as subscription:
                yield subscription

    async def _in_slices(self, polled: dict[TopicPartition, list[Record]], subscription: Subscription) -> None:
        """Apply slice by slice; the next slice is decoded and folded while the store is at work on this one."""
        waiting: set[TopicPartition] = set()
        slices = portions(polled, self.settings.consumer_max_records * TOGETHER)
        ahead = asyncio.create_task(self._opened(slices[0] if slices else []))
        try:
            for slice_, following in zip_longest(slices, slices[1:], fillvalue=Slice()):
                opened = await ahead
                ahead = asyncio.create_task(self._opened(following))
                if waiting or not await self._all_at_once(slice_, opened):
                    rest = [(place, records) for place, records in slice_ if place not in waiting]
                    waiting |= await self._each(rest, subscription)
        finally:
            ahead.cancel()

    async def _refill(self, subscription: Subscription) -> None:
        """In a rebuild: each record is decoded and folded as it comes off the log, while the processor has it at hand,
        and goes into a unit of work of many; the next one is gathered while the store is at work on this one. Nobody
        takes partitions away meanwhile."""
        ahead = asyncio.create_task(self._gathered(subscription))
        try:
            while True:
                slice_, opened = await ahead
                self._begin_anew_if_emptied()
                ahead = asyncio.create_task(self._gathered(subscription))
                if not slice_ or await self._all_at_once(slice_, opened):
                    continue
                if await self._each(by_partition(slice_), subscription):
                    for place, _ in (await ahead)[0]:  # they come again, in order, behind those that wait
                        subscription.seek(place, self._claims[place].next_offset)
                    ahead = asyncio.create_task(self._gathered(subscription))
        finally:
            ahead.cancel()

    async def _gathered(self, subscription: Subscription) -> tuple[Slice, list[Opened]]:
        """What the log has, up to a unit of work of a rebuild, decoded and folded; it waits for the first only."""
        slice_, opened, size = Slice(), list[Opened](), 0
        while len(opened) < REFILLED_TOGETHER and size < REFILLED_BYTES:
            polled = await subscription.poll(POLLED_TOGETHER, 0 if slice_ else self.settings.consumer_poll_seconds)
            if not polled:
                break
            slice_ += polled.items()
            opened += await self._opened(list(polled.items()))
            size += sum(len(record.value) for records in polled.values() for record in records)
        return slice_, opened

    async def _each(self, polled: Slice, subscription: Subscription) -> set[TopicPartition]:
        """Apply partition by partition; returns those that wait, which will be polled again from where they stand."""
        waiting: set[TopicPartition] = set()
        free = asyncio.Semaphore(self.at_once)

        async def apply(place: TopicPartition, records: Sequence[Record]) -> None:
            async with free:
                try:
                    await self._partition(place, records)
                except NotYet as error:
                    waiting.add(place)
                    self._report(f"{place.topic}[{place.partition}] waits: {error}")
                    if place in self._claims:
                        subscription.seek(place, self._claims[place].next_offset)
                    await asyncio.sleep(NOT_YET_PAUSE_SECONDS)

        if self.at_once == 1:
            for place, records in polled:
                await apply(place, records)
            return waiting
        for topic in self.topics:
            mine = (apply(place, records) for place, records in polled if place.topic == topic)
            ended = await asyncio.gather(*mine, return_exceptions=True)
            for failure in ended:
                if failure is not None:
                    raise failure
        return waiting

    async def _all_at_once(self, slice_: Slice, opened: Sequence[Opened]) -> bool:
        """Apply what came of all partitions in one unit of work; False where each has to be tried alone."""
        if any(place not in self._claims for place, _ in slice_):
            return False  # taken away since
        try:
            await self._apply([(self._claims[place], records) for place, records in slice_], opened)
        except INTERRUPTIONS:
            raise
        except Exception as error:
            logger.warning("poll failed, going by partition", consumer=self.name, error=repr(error))
            return False
        return True

    async def _opened(self, slice_: Slice) -> list[Opened]:
        """The records decoded and folded, with a pause now and then in which the store's answers are taken."""
        opened: list[Opened] = []
        for _, records in slice_:
            for first in range(0, len(records), OPENED_AT_ONCE):
                portion = records[first : first + OPENED_AT_ONCE]
                opened += [open_record(record, self.fold, self.types) for record in portion]
                await asyncio.sleep(0)
        return opened

    def _begin_anew_if_emptied(self) -> None:
        if self._emptied:
            self._emptied = False
            self._claims.clear()
            raise Fenced("the views are being made anew")

    def _report(self, problem: str) -> None:
        self.problem = problem
        logger.warning("consumer interrupted", consumer=self.name, problem=problem)
