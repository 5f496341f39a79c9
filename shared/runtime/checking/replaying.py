"""The log from its start up to given offsets, through the consumers of a service, partition by partition from the last
to the first, unlike live, where they come as they come."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog

from shared.events.catalog import DATA_TOPICS
from shared.log.records import Record, TopicPartition
from shared.log.store import Store
from shared.runtime.consumer import Consumer, NotYet
from shared.runtime.service import Definition, Service
from shared.runtime.tasks import Periodic

logger = structlog.get_logger()

BATCHES = 50
"""Records of batches read at once, each of which may be megabytes."""

MAX_LETTERS = 10_000
TOLD_EVERY = 100_000
WAITS = "waits among the dead letters of the live system"

Place = tuple[str, TopicPartition]
Offsets = Mapping[Place, int]
"""How far each consumer is in each partition."""


def backwards(places: Iterable[Place]) -> list[Place]:
    """The last consumer, topic and partition first."""
    return sorted(places, reverse=True)


def facts_first(places: Iterable[Place]) -> list[Place]:
    """The same, but batches of rows after what they rest on, so that few of them are put aside and taken up again."""
    return sorted(backwards(places), key=lambda place: place[1].topic in DATA_TOPICS)


Order = Callable[[Iterable[Place]], list[Place]]


class CannotTell(Exception):
    """Why live and replayed views cannot be compared."""


@dataclass(slots=True)
class Replaying:
    """`service` replays (`scratch.beside`); `live` is the store of the one beside it. `order`: of the partitions."""

    definition: Definition
    service: Service
    live: Store
    order: Order = facts_first
    records: int = 0
    letters: set[tuple[str, TopicPartition, int]] = field(default_factory=set[tuple[str, TopicPartition, int]])
    _consumers: dict[str, Consumer] = field(default_factory=dict[str, Consumer])
    _settles: list[Periodic] = field(default_factory=list[Periodic])

    def __post_init__(self) -> None:
        consumers = self.definition.consumers(self.service)
        self._consumers = {one.name: one for one in consumers if one.name not in self.definition.work}
        self._settles = self.definition.settles(self.service)

    async def reached(self) -> Offsets:
        """How far the live consumers are."""
        offsets = await self.live.offsets()
        return {name: offset for name, offset in offsets.items() if name[0] in self._consumers}

    async def to(self, end: Offsets) -> None:
        """Go on up to these offsets. Raises CannotTell, and what the log's port raises."""
        await self._letters()
        at = dict(await self.service.store.offsets())
        async with AsyncExitStack() as loading:
            for consumer in self._consumers.values():
                behind = sum(offset - at.get(name, 0) for name, offset in end.items() if name[0] == consumer.name)
                if consumer.loads and behind > self.service.settings.consumer_load_lag:
                    await loading.enter_async_context(self.service.store.loading(consumer.loads))
            await self._go_on(at, end)
        for job in self._settles:
            try:
                await job.job()
            except Exception as error:
                raise CannotTell(f"{job.name}: {error}") from error

    async def _go_on(self, at: dict[Place, int], end: Offsets) -> None:
        """From where the consumers are `at`, some records of each partition in turn."""
        while behind := [name for name in self.order(end) if at.get(name, 0) < end[name]]:
            before, waits = dict(at), ""
            for name in behind:
                try:
                    await self._some(name, at.get(name, 0), end[name])
                except NotYet as error:
                    waits = f"{name[0]} waits at {name[1].topic}[{name[1].partition}]: {error}"
            at |= await self.service.store.offsets()
            if at == before:
                raise CannotTell(waits or f"the replay does not get on at {behind[0]}")

    async def refused(self) -> str | None:
        """A record that live could apply and the replay could not, and why, if there is one."""
        async with self.service.store.begin() as unit:
            letters = await unit.dead_letters(None, MAX_LETTERS)
        for letter in letters:
            place, offset = letter.record.place, letter.record.offset
            if (letter.consumer, place, offset) not in self.letters:
                return f"{letter.consumer} could not apply {place.topic}[{place.partition}] {offset}: {letter.reason}"
        return None

    async def _letters(self) -> None:
        """What waits among the live dead letters is in no view, and left out of the replay too."""
        async with self.live.begin() as unit:
            letters = await unit.dead_letters(None, MAX_LETTERS)
        if len(letters) == MAX_LETTERS:
            raise CannotTell(f"{MAX_LETTERS} dead letters or more wait; replay or discard them first")
        found = {(one.consumer, one.record.place, one.record.offset) for one in letters}
        if not found >= self.letters:
            raise CannotTell("dead letters were replayed or discarded meanwhile; check again")
        self.letters = {one for one in found if one[0] in self._consumers}

    async def _some(self, name: Place, start: int, end: int) -> None:
        """Apply some records; those that wait among the dead letters are put aside here too."""
        consumer, place = self._consumers[name[0]], name[1]
        most = BATCHES if place.topic in DATA_TOPICS else self.service.settings.consumer_max_records
        records = await self.service.log.read(place, start, min(most, end - start))
        if not records:
            raise CannotTell(f"the log holds no record at offset {start} of {place.topic}[{place.partition}]")
        part: list[Record] = []
        for record in records:
            if (name[0], place, record.offset) in self.letters:
                if part:
                    await consumer.catch_up(place, part)
                    part = []
                await consumer.set_aside(place, [record], WAITS)
            else:
                part.append(record)
        if part:
            await consumer.catch_up(place, part)
        self._count(len(records))

    def _count(self, more: int) -> None:
        if (self.records + more) // TOLD_EVERY > self.records // TOLD_EVERY:
            logger.info("replaying", service=self.definition.name, records=self.records + more)
        self.records += more
