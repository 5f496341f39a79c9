"""The service that replays: the same consumers over a scratch store, with no way to say or change anything.

It reads the service's own streams where deciders look, since what was stated is stated, and drops what its consumers
would state now: a view shows only what the log brings.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from shared.events.envelope import Event
from shared.log.log import EventLog
from shared.log.records import Bounds, Record, TopicPartition
from shared.log.store import Store, UnitOfWork
from shared.runtime.commands import CommandLoop
from shared.runtime.service import AsyncMessages, Service

MAX_KNOWN = 100_000
"""Streams of which it is remembered where they ended."""


class _Unit:
    """A unit of work of the scratch store. `ends`: where the streams ended that were loaded before. They are not asked
    again for what came since, as no row depends on what is decided here."""

    def __init__(self, unit: UnitOfWork, own: Store, ends: dict[str, int]) -> None:
        self._unit, self._own, self._ends = unit, own, ends
        self.appended: set[str] = set()

    async def load(self, subject: str, after: int = 0) -> list[Event]:
        if self._ends.get(subject) == after:
            return []
        async with self._own.begin() as unit:
            events = await unit.load(subject, after)
        if len(self._ends) >= MAX_KNOWN:
            self._ends.clear()
        self._ends[subject] = events[-1].sequence if events else after
        return events

    async def load_many(self, after: Mapping[str, int]) -> list[Event]:
        return [event for subject, sequence in after.items() for event in await self.load(subject, sequence)]

    async def append(self, subject: str, expected: int | None, events: Sequence[Event]) -> list[Event]:
        self.appended.add(subject)
        return list(events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)


class _Store:
    """A store whose units of work are those."""

    def __init__(self, scratch: Store, own: Store) -> None:
        self._scratch, self._own = scratch, own
        self._ends: dict[str, int] = {}

    @asynccontextmanager
    async def begin(self, together: bool = False) -> AsyncGenerator[UnitOfWork, None]:
        async with self._scratch.begin(together) as unit:
            yield cast(UnitOfWork, _Unit(unit, self._own, self._ends))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scratch, name)


class _Log:
    """A log that can only be read, and without a group."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def read(self, place: TopicPartition, offset: int, count: int = 1) -> list[Record]:
        return await self._log.read(place, offset, count)

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        return await self._log.bounds(topics)


class _Nobody:
    """A fan-out to which nobody listens."""

    async def send(self, channel: str, *messages: str) -> None:
        return None

    async def count(self, name: str, seconds: int, by: int = 1) -> tuple[int, int]:
        return by, seconds

    def listen(self, channel: str) -> AsyncMessages:
        raise NotImplementedError("nobody listens to a replay")


def beside(live: Service, scratch: Store) -> Service:
    """The service that replays beside the live one, into `scratch`."""
    store = cast(Store, _Store(scratch, live.store))
    settings = live.settings.model_copy(update={"consumer_not_yet_seconds": float("inf")})
    log = cast(EventLog, _Log(live.log))
    return Service(live.name, settings, store, log, _Nobody(), CommandLoop(live.name, store))
