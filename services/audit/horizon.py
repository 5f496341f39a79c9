"""How far the ledger has got: an answer about now must not claim more than what it has read.

An event is recorded where it is stated and reaches the ledger some moments later, or much later where the ledger was
stopped. What was recorded just before the oldest event that still waits, and earlier, is in the ledger as a whole; so
that is the latest moment about which it can be said what was known.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.events.catalog import CONTROL_TOPICS, DATA_TOPICS
from shared.events.codec import Undecodable, decode
from shared.log.log import EventLog, LogUnavailable, OffsetOutOfRange
from shared.log.records import Bounds, TopicPartition
from shared.log.store import Store
from shared.log.tables import Query
from shared.runtime.commands import now

LEDGER = "audit.ledger"
PATIENCE = 2.0
"""Seconds in which the log has to say how far it is."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Horizon:
    """`until`: everything that was recorded by then is in the ledger; `present`: when that was asked. `waiting`: events
    that are not there yet, by topic, with the moment when the oldest of them was recorded. `sure` False: the log could
    not be asked, and `until` is the newest that the ledger holds."""

    until: datetime
    present: datetime
    waiting: dict[str, int] = field(default_factory=dict[str, int])
    oldest: dict[str, datetime] = field(default_factory=dict[str, datetime])
    sure: bool = True

    def told(self, known_at: datetime, default: bool) -> dict[str, Any]:
        """What an answer says about itself. `complete`: whether all that was recorded by `known_at` is in it, or null
        where that cannot be told; `behind_seconds` and `waiting` (by topic): how far now the ledger is behind, where
        `known_at` was left to the `default` or lies beyond what it has read."""
        late = {topic: count for topic, count in self.waiting.items() if self.oldest[topic] <= known_at}
        waiting = self.waiting if default else late
        behind = (self.present - self.until).total_seconds() if waiting or not self.sure else 0.0
        complete = not late if self.sure else None
        return {"complete": complete, "behind_seconds": max(0.0, behind), "waiting": waiting}


async def horizon(log: EventLog, store: Store, data: bool) -> Horizon:
    """How far the ledger has got with what services state; with `data` also with predictions and their outcomes."""
    present = now()  # before anything is read: what comes meanwhile is later
    topics = CONTROL_TOPICS + (DATA_TOPICS if data else ())
    try:
        async with asyncio.timeout(PATIENCE):
            bounds, offsets = await asyncio.gather(log.bounds(topics), store.offsets())
            behind = _behind(bounds, offsets)
            oldest = await asyncio.gather(*(_recorded(log, place, offset) for place, (offset, _) in behind.items()))
    except (LogUnavailable, OffsetOutOfRange, TimeoutError):
        return Horizon(await _newest(store, present), present, sure=False)
    waiting: dict[str, int] = {}
    first: dict[str, datetime] = {}
    for (place, (_, count)), recorded in zip(behind.items(), oldest, strict=True):
        waiting[place.topic] = waiting.get(place.topic, 0) + count
        first[place.topic] = min(recorded or present, first.get(place.topic, present))
    until = min([present, *(moment - _TICK for moment in first.values())])
    return Horizon(until, present, waiting, first)


def _behind(
    bounds: dict[TopicPartition, Bounds], offsets: dict[tuple[str, TopicPartition], int]
) -> dict[TopicPartition, tuple[int, int]]:
    """Partition → (offset that the ledger reads next, records that wait), where any do."""
    found: dict[TopicPartition, tuple[int, int]] = {}
    for place, bound in sorted(bounds.items()):
        offset = max(offsets.get((LEDGER, place), 0), bound.begin)
        if offset < bound.end:
            found[place] = (offset, bound.end - offset)
    return found


async def _recorded(log: EventLog, place: TopicPartition, offset: int) -> datetime | None:
    """When the record at a place was recorded; None where it is not there (any more)."""
    records = await log.read(place, offset, 1)
    if not records:
        return None
    try:
        return decode(records[0]).recorded
    except Undecodable:
        return records[0].recorded


async def _newest(store: Store, present: datetime) -> datetime:
    rows: Sequence[Any] = await store.find(Query("ledger", (), ("-recorded",), 1, columns=("event_id", "recorded")))
    return rows[0]["recorded"] if rows else present
