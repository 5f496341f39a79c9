"""What the ledger holds that the tree does not: the leaves of the next checkpoint, in the order of the tree.

First come letters that were applied since their offsets were passed over, then everything new, both by topic, partition
and offset. So the order follows from the checkpoint's runs and the log alone.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

from services.audit.domain.tree import OWN_TYPES
from services.audit.proofs.reading import Finder
from shared.events.audit import LogOffset, LogRun
from shared.log.records import TopicPartition
from shared.log.tables import Query, Row, Where, equal

PAGE = 5_000
MAX_HOLES = 10_000
"""Passed-over offsets that are looked at for letters applied since; the first of them."""


@dataclass(slots=True)
class Collected:
    """Leaves, and where they lie. `worth`: whether more is new than what the tree itself led to."""

    max_leaves: int
    max_runs: int
    leaves: list[bytes] = field(default_factory=list[bytes])
    runs: list[LogRun] = field(default_factory=list[LogRun])
    offsets: list[LogOffset] = field(default_factory=list[LogOffset])
    worth: bool = False

    @property
    def full(self) -> bool:
        return len(self.leaves) >= self.max_leaves or len(self.runs) >= self.max_runs

    def add(self, place: TopicPartition, row: Row) -> None:
        """Take a ledger row in."""
        offset: int = row["offset"]
        last = self.runs[-1] if self.runs else None
        if last and (last.topic, last.partition, last.end) == (*place, offset):
            self.runs[-1] = last.model_copy(update={"end": offset + 1})
        else:
            self.runs.append(LogRun(topic=place.topic, partition=place.partition, begin=offset, end=offset + 1))
        self.leaves.append(row["leaf"])
        self.worth = self.worth or row["type"] not in OWN_TYPES


async def collect(
    finder: Finder,
    covered: Mapping[TopicPartition, int],
    offsets: Mapping[TopicPartition, int],
    max_leaves: int,
    max_runs: int,
) -> Collected:
    """The next leaves: from `covered` on, up to the `offsets` that the ledger has reached."""
    found = Collected(max_leaves, max_runs)
    async for place, row in _late(finder):
        if found.full:
            return found
        found.add(place, row)
    for place in sorted(offsets):
        start = covered.get(place, 0)
        reached = await _new(finder, found, place, start, offsets[place])
        if reached > start:
            found.offsets.append(LogOffset(topic=place.topic, partition=place.partition, offset=reached))
        if found.full:
            break
    return found


async def _late(finder: Finder) -> AsyncIterator[tuple[TopicPartition, Row]]:
    """Ledger rows at offsets that were passed over."""
    holes = await finder.find(Query("tree_holes", limit=MAX_HOLES))
    places: dict[TopicPartition, list[int]] = {}
    for hole in holes:
        places.setdefault(TopicPartition(hole["topic"], hole["partition"]), []).append(hole["offset"])
    for place in sorted(places):
        where = (*equal(topic=place.topic, partition=place.partition), Where("offset", "in", places[place]))
        for row in _once(await finder.find(_query(where, len(places[place])))):
            yield place, row


async def _new(finder: Finder, found: Collected, place: TopicPartition, start: int, end: int) -> int:
    """Take in a partition's rows; answers the offset before which it is now covered."""
    while start < end:
        where = (*equal(topic=place.topic, partition=place.partition), Where("offset", ">=", start))
        rows = await finder.find(_query((*where, Where("offset", "<", end)), PAGE))
        for row in _once(rows):
            if found.full:
                return start
            found.add(place, row)
            start = row["offset"] + 1
        if len(rows) < PAGE:
            return end
    return start


def _query(where: tuple[Where, ...], limit: int) -> Query:
    return Query("ledger", where, ("offset",), limit, columns=("event_id", "offset", "leaf", "type"))


def _once(rows: list[Row]) -> Iterator[Row]:
    """Rows in the order of offsets; of two that claim one place, which a sound ledger never has, the first."""
    last = -1
    for row in rows:
        if row["offset"] > last:
            last = row["offset"]
            yield row
