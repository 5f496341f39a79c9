"""Records in, rows and offsets out, in one unit of work.

Delivery is at least once; the effect is exactly once, because the offset, the last sequence applied of every stream and
the rows commit together, and a stale owner is fenced. A record that cannot be applied goes to the dead letters and its
key waits behind it; every other key goes on.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

import structlog

from shared.events.envelope import Event
from shared.log.log import EventLog, LogUnavailable
from shared.log.records import Record, TopicPartition
from shared.log.store import BeingFilled, Claim, DeadLetter, Fenced, Store, StoreUnavailable, UnitOfWork
from shared.log.tables import Change
from shared.runtime.commands import now
from shared.runtime.received import Opened, Received, Refused, held_back, in_sequence, open_record
from shared.runtime.settings import Settings

logger = structlog.get_logger()

FILLED = "a rebuild fills the views; this consumer goes on when that has ended"

INTERRUPTIONS = (Fenced, StoreUnavailable, LogUnavailable, OSError)
"""What says nothing about the records: worth another try, with a new claim."""


class NotYet(Exception):
    """What this record needs is still on its way (another topic's event): it is tried again and again, and parked
    after `consumer_not_yet_seconds`. The records of its partition wait behind it."""


Handler = Callable[[UnitOfWork, Sequence[Received]], Awaitable[None]]


def projecting(project: Callable[[Event], Sequence[Change]]) -> Handler:
    """The handler of a pure projection."""

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        await unit.apply([change for item in received for change in project(item.event)])

    return handle


@dataclass(slots=True)
class Applier:
    """What a consumer group of a service does with records. `handle` gets those of one partition, in order, none of
    them twice."""

    name: str
    topics: tuple[str, ...]
    log: EventLog
    store: Store
    handle: Handler
    settings: Settings
    marks: bool = True
    """Whether `?after=` waits for this one; of several consumers of a topic within a service only one may tell."""

    types: frozenset[str] = frozenset()
    """Types of the events that `handle` asks for (none: every type); others are passed over undecoded. A stream that
    holds one of these may hold no other: the others' places in it would be missed."""

    share: Mapping[TopicPartition, int] | None = None
    """In a rebuild: the partitions that are this consumer's alone, outside of any group, each with the offset up to
    which `?after=` knows its events from before. None: what its group gives it, while no rebuild is under way."""

    applied: Callable[[], Awaitable[None]] | None = None
    """Called when a unit of work of `handle` has been committed: to tell what may be told from then on."""

    problem: str | None = None
    _claims: dict[TopicPartition, Claim] = field(default_factory=dict[TopicPartition, Claim])
    _parked: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    _progress: float = field(default_factory=monotonic)
    _not_yet_since: dict[TopicPartition, float] = field(default_factory=dict[TopicPartition, float])

    async def set_aside(self, place: TopicPartition, records: Sequence[Record], reason: str) -> None:
        """Park the next records of a partition among the dead letters, as they are."""
        if place not in self._claims:
            await self._assigned([place])
        await self._apply([(self._claims[place], records)], refuse=reason)

    def forget(self, place: TopicPartition) -> None:
        """Drop the claim on a partition: somebody else owns it now, or its state must be read again."""
        self._claims.pop(place, None)

    async def _assigned(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.share is None and await self.store.is_filled():
            raise BeingFilled(FILLED)
        claims = await self.store.claim(self.name, places)
        self._claims.update(claims)
        async with self.store.begin() as unit:
            self._parked = await unit.parked_keys(self.name)
        return {place: claim.next_offset for place, claim in claims.items()}

    async def _revoked(self, places: Sequence[TopicPartition]) -> None:
        for place in places:
            self.forget(place)

    async def _partition(self, place: TopicPartition, records: Sequence[Record]) -> None:
        claim = self._claims.get(place)
        if claim is None:
            return
        try:
            await self._apply([(claim, records)])
        except INTERRUPTIONS:
            raise
        except NotYet:
            await self._one_by_one(place, records)
        except Exception as error:
            logger.warning("batch failed, going one by one", consumer=self.name, place=place, error=repr(error))
            await self._one_by_one(place, records)

    async def _apply(
        self,
        owned: Sequence[tuple[Claim, Sequence[Record]]],
        opened: Sequence[Opened] | None = None,
        refuse: str | None = None,
    ) -> None:
        """Apply the records of each partition in order, in one unit of work; with `refuse`, park them all for that.
        `opened`: the records as opened before."""
        records = [record for _, mine in owned for record in mine]
        if opened is None:
            opened = [refuse or open_record(record, types=self.types) for record in records]
        async with self.store.begin() as unit:
            if any((record.topic, record.key) in self._parked for record in records):
                self._parked = await unit.parked_keys(self.name)  # they may have been replayed elsewhere
            received, refused = held_back(records, opened, self._parked)
            gaps = await self.take_in(unit, received)
            letters = [DeadLetter(self.name, record, reason, now()) for record, reason in (*refused, *gaps)]
            if letters:
                await unit.park(letters)
            advanced = await unit.advance(self.name, {claim: mine[-1].offset + 1 for claim, mine in owned})
        if self.applied is not None:
            await self.applied()
        self._parked |= {(letter.record.topic, letter.record.key) for letter in letters}
        for claim in advanced:
            self._claims[claim.place] = claim
            self._advanced(claim.place, letters)

    async def take_in(self, unit: UnitOfWork, received: Sequence[Received]) -> Refused:
        """Let `handle` have what it has not had before, and remember how far each stream is; returns what came too
        early in its own."""
        subjects = sorted({item.event.subject for item in received if item.event.sequence})
        known = await unit.heads(self.name, subjects) if subjects else {}
        fresh, gaps, heads = in_sequence(received, known)
        if fresh:
            await self.handle(unit, fresh)
            if heads:
                await unit.set_heads(self.name, heads)
            if self.marks:
                await unit.mark_seen(self.name, [item.event.id for item in fresh if self._is_new(item.record)])
        return gaps

    def _is_new(self, record: Record) -> bool:
        return self.share is None or record.offset >= self.share[record.place]

    async def _one_by_one(self, place: TopicPartition, records: Sequence[Record]) -> None:
        for record in records:
            claim = self._claims[place]
            try:
                await self._apply([(claim, [record])])
            except INTERRUPTIONS:
                raise
            except NotYet as error:
                if self._waited(place) < self.settings.consumer_not_yet_seconds:
                    raise
                await self._apply([(claim, [record])], refuse=f"what it needs did not come: {error}")
            except Exception as error:
                logger.exception("record parked", consumer=self.name, place=place, offset=record.offset)
                await self._apply([(claim, [record])], refuse=f"{type(error).__name__}: {error}")

    def _waited(self, place: TopicPartition) -> float:
        """Seconds since the first NotYet of the record that stands at the head of this partition."""
        return monotonic() - self._not_yet_since.setdefault(place, monotonic())

    def _advanced(self, place: TopicPartition, letters: Sequence[DeadLetter]) -> None:
        self._progress = monotonic()
        self._not_yet_since.pop(place, None)
        self.problem = f"last dead letter: {letters[-1].reason}" if letters else None
