"""Window states within one unit of work: read at first touch, written once at its end.

A state belongs to the partition whose records it counts, so each row has one writer, the owner of that partition.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.monitor.domain.closing import Mark
from services.monitor.domain.coding import decode, encode
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from shared.log.records import TopicPartition
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Row
from shared.runtime.predictions import Target
from shared.runtime.settings import Settings


def moment(microseconds: int) -> datetime:
    """Microseconds since 1970 as a UTC time, exactly."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def micros(at: datetime) -> int:
    """A time as microseconds since 1970, exactly."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def mark_of(row: Row) -> Mark:
    """The mark that a row of the view keeps; one from before it was told since when holds since its last prediction."""
    return Mark(row["at"], row["heard"], row["since"] or row["heard"])


@dataclass(slots=True)
class _Held:
    target: Target
    start: datetime
    stamp: int
    sketch: Sketch
    since: datetime | None = None
    until: datetime | None = None


@dataclass(slots=True)
class States:
    """The states that records of `place` touch in this unit of work."""

    unit: UnitOfWork
    place: TopicPartition
    settings: Settings
    _held: dict[tuple[str, int, int], _Held] = field(default_factory=dict[tuple[str, int, int], _Held])
    _watermarks: dict[str, Mark] = field(default_factory=dict[str, Mark])

    async def add(self, target: Target, start: int, sketch: Sketch, first: datetime, last: datetime) -> None:
        """Add to the window that starts at so many microseconds since 1970 what the log took between `first` and
        `last`."""
        key = (target.deployment, target.version, start)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = await self._read(target, moment(start))
        held.sketch = merge(held.sketch, sketch)
        held.since = min(first, held.since or first)
        held.until = max(last, held.until or last)

    def seen(self, deployment: str, until: datetime, heard: datetime) -> None:
        """Predictions of this deployment reach up to event time `until`; the log took the last at `heard`."""
        mark = Mark(until, heard, heard)
        before = self._watermarks.get(deployment)
        self._watermarks[deployment] = self._further(before, mark)

    def _further(self, before: Mark | None, then: Mark) -> Mark:
        if before is None:
            return then
        return before.further(then, self.settings.window_seconds, self.settings.window_lateness_seconds)

    async def write(self) -> None:
        """Put what was touched, that it changed, and how far event time has come."""
        changes: list[Change] = []
        for held in self._held.values():
            changes += self._rows(held)
        for deployment, mark in self._watermarks.items():
            row = await self.unit.get("watermarks", deployment, self.place.topic, self.place.partition)
            mark = self._further(mark_of(row) if row is not None else None, mark)
            told = {"at": mark.at, "heard": mark.heard, "since": mark.since}
            changes.append(Put("watermarks", {"deployment": deployment, **self._source(), **told}))
        if changes:
            await self.unit.apply(changes)

    async def _read(self, target: Target, start: datetime) -> _Held:
        row = await self.unit.get("window_states", target.deployment, target.version, start, *self.place)
        if row is None:
            return _Held(target, start, 0, EMPTY)
        return _Held(target, start, row["stamp"], decode(row["state"]), row["since"], row["until"])

    def _rows(self, held: _Held) -> Sequence[Change]:
        window = {
            "deployment": held.target.deployment,
            "version": held.target.version,
            "window_start": held.start,
            **self._source(),
            "stamp": held.stamp + 1,
            "window_end": held.start + timedelta(seconds=self.settings.window_seconds),
            "model": held.target.model,
        }
        state = {"predictions": held.sketch.predictions, "state": encode(held.sketch)}
        state |= {"since": held.since, "until": held.until}
        return [Put("window_states", window | state), Put("window_changes", window)]

    def _source(self) -> dict[str, str | int]:
        return {"topic": self.place.topic, "partition": self.place.partition}
