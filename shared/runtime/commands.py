"""The command loop: load, fold, decide, append, and again on a conflict."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from uuid_utils import uuid7

from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.log.store import Conflict, Store, UnitOfWork

R = TypeVar("R")
S = TypeVar("S")
C = TypeVar("C", contravariant=True)

__all__ = ["CommandLoop", "Context", "Decider", "Refused", "caused_by", "event_of", "new_id", "now"]

MAX_ATTEMPTS = 20
MAX_CACHED_STREAMS = 2_000
"""Each holds all that was stated on it: a measured window of ten features is 17 KB."""


class Decider(Protocol[S, C]):
    """The pure core of one kind of stream, as a module or an object with these three names.

    `decide` raises `Refused`; it sees time, ids and the actor only through the command.
    """

    @property
    def initial(self) -> S: ...

    @property
    def decide(self) -> Callable[[S, C], Sequence[Payload]]: ...

    @property
    def evolve(self) -> Callable[[S, Event], S]: ...


@dataclass(frozen=True, slots=True)
class Context:
    """Who commands, when it happened, and in the course of what. `event_id` names the first event of the decision,
    so that a flag, an evidence or an approval can bear the id of the event that states it."""

    actor: str
    at: datetime
    event_id: str
    correlationid: str | None = None
    causationid: str | None = None


def caused_by(event: Event) -> Context:
    """The context of what follows from an event: in its actor's name, at its time, with it as the cause."""
    return Context(event.actor, event.time, new_id(), event.correlationid, event.id)


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """A UUIDv7 (RFC 9562)."""
    return str(uuid7())


class Snapshots(Protocol):
    """A shorter way to the state of a long stream than to fold all of it."""

    async def restore(self, unit: UnitOfWork, subject: str) -> tuple[int, object] | None:
        """(sequence, state) as a fold of the stream up to there gives them; None where nothing is kept."""
        ...


@dataclass(slots=True)
class CommandLoop:
    """Runs commands of one service against its store. Keeps folded streams in memory, at most MAX_CACHED_STREAMS; and
    those that a unit of work has read, so that each is asked once for what came since. What it was told is what it
    decides on: where somebody else has written meanwhile, appending ends in Conflict."""

    service: str
    store: Store
    snapshots: Snapshots | None = None
    _cache: dict[str, tuple[int, object]] = field(default_factory=dict[str, tuple[int, object]])
    _read: WeakKeyDictionary[UnitOfWork, dict[str, tuple[int, object, bool]]] = field(
        default_factory=WeakKeyDictionary[UnitOfWork, dict[str, tuple[int, object, bool]]]
    )
    """Per unit of work and stream: sequence, state, and whether what this unit appended here is in it."""
    _again: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def handle(self, decider: Decider[S, C], subject: str, command: C, context: Context) -> list[Event]:
        """Decide on the stream `subject` and append what follows, in a unit of work of its own.

        Raises Refused when the decision says no, Conflict when MAX_ATTEMPTS other writers came first.
        """

        async def work(unit: UnitOfWork) -> list[Event]:
            return await self.handle_in(unit, decider, subject, command, context)

        return await self.attempt(work)

    async def attempt(self, work: Callable[[UnitOfWork], Awaitable[R]]) -> R:
        """Do `work` in a unit of work of its own, and again where others came first. Those who do it again go one by
        one: of many who decide on one stream at once, only one can be right each time.

        Raises Conflict when MAX_ATTEMPTS other writers came first.
        """
        try:
            async with self.store.begin(together=True) as unit:
                return await work(unit)
        except Conflict:
            async with self._again:
                return await self._attempt_again(work)

    async def _attempt_again(self, work: Callable[[UnitOfWork], Awaitable[R]]) -> R:
        for _ in range(MAX_ATTEMPTS - 2):
            try:
                async with self.store.begin(together=True) as unit:
                    return await work(unit)
            except Conflict:
                continue
        async with self.store.begin(together=True) as unit:
            return await work(unit)

    async def handle_in(
        self,
        unit: UnitOfWork,
        decider: Decider[S, C],
        subject: str,
        command: C,
        context: Context,
        known: tuple[int, S] | None = None,
    ) -> list[Event]:
        """The same inside the caller's unit of work, without a retry. `known`: (sequence, state) where the caller has
        them from a view, so that a long stream need not be read; a view that is behind ends in Conflict."""
        sequence, state = known or await self.state_in(unit, decider, subject)
        payloads = decider.decide(state, command)
        events = [
            event_of(self.service, subject, sequence + place, place == 1, payload, context)
            for place, payload in enumerate(payloads, 1)
        ]
        if not events:
            return []
        appended = await unit.append(subject, sequence, events)
        if known is None:
            for event in appended:
                sequence, state = event.sequence, decider.evolve(state, event)
            self._read.setdefault(unit, {})[subject] = (sequence, state, True)
        return appended

    async def state_in(self, unit: UnitOfWork, decider: Decider[S, C], subject: str) -> tuple[int, S]:
        """(sequence, state) of a stream, from the cache and what came since; the same again within a unit of work, with
        what it has decided itself."""
        read = self._read.setdefault(unit, {})
        if (found := read.get(subject)) is not None and (found[2] or subject not in unit.appended):
            return found[0], found[1]  # type: ignore[return-value]
        sequence, state = await self._start(unit, decider, subject)
        for event in await unit.load(subject, sequence):
            sequence, state = event.sequence, decider.evolve(state, event)  # type: ignore[arg-type]
        if subject not in unit.appended:  # what this unit appended may yet be rolled back
            self._remember(subject, sequence, state)
            read[subject] = (sequence, state, False)
        return sequence, state  # type: ignore[return-value]

    async def read_ahead(self, unit: UnitOfWork, deciders: Mapping[str, Decider[Any, Any]]) -> None:
        """Ask several streams, by subject, at once for what came since, for the commands of this unit of work."""
        read = self._read.setdefault(unit, {})
        known = {
            subject: await self._start(unit, decider, subject)
            for subject, decider in deciders.items()
            if subject not in read and subject not in unit.appended
        }
        for event in await unit.load_many({subject: sequence for subject, (sequence, _) in known.items()}):
            state = deciders[event.subject].evolve(known[event.subject][1], event)
            known[event.subject] = (event.sequence, state)
        for subject, (sequence, state) in known.items():
            self._remember(subject, sequence, state)
            read[subject] = (sequence, state, False)

    async def _start(self, unit: UnitOfWork, decider: Decider[S, C], subject: str) -> tuple[int, object]:
        """Where folding a stream begins: what is remembered, a snapshot, or nothing."""
        found = self._cache.get(subject)
        if found is None and self.snapshots is not None and subject not in unit.appended:
            found = await self.snapshots.restore(unit, subject)
        return found or (0, decider.initial)

    def remembered(self) -> dict[str, tuple[int, object]]:
        """(sequence, state) by stream, as committed."""
        return dict(self._cache)

    def _remember(self, subject: str, sequence: int, state: object) -> None:
        if len(self._cache) >= MAX_CACHED_STREAMS and subject not in self._cache:
            self._cache.pop(next(iter(self._cache)))
        self._cache[subject] = (sequence, state)


def event_of(service: str, subject: str, sequence: int, first: bool, payload: Payload, context: Context) -> Event:
    """What a decision of a service states, at this place of the stream; the `first` event bears the context's id."""
    return Event(
        id=context.event_id if first else new_id(),
        source=f"/muniment/{service}",
        subject=subject,
        time=context.at,
        sequence=sequence,
        actor=context.actor,
        data=payload,
        causationid=context.causationid,
        correlationid=context.correlationid,
    )
