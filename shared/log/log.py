"""EventLog: the port to the one log. Adapters: `shared.log.memory`, `shared.log.postgres`, `shared.log.kafka`.

Every adapter passes `tests/contract/test_event_log.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.log.records import Bounds, Outgoing, Record, TopicPartition

Assigned = Callable[[Sequence[TopicPartition]], Awaitable[dict[TopicPartition, int]]]
"""Called with the partitions gained; answers the offset to read each from (0: from the oldest)."""

Revoked = Callable[[Sequence[TopicPartition]], Awaitable[None]]


class OffsetOutOfRange(Exception):
    """A consumer stands at an offset that the log does not hold: an alarm, never a reset."""

    def __init__(self, place: TopicPartition, offset: int, bounds: Bounds) -> None:
        super().__init__(f"offset {offset} of {place.topic}[{place.partition}] is outside {bounds.begin}..{bounds.end}")
        self.place, self.offset, self.bounds = place, offset, bounds


class LogUnavailable(Exception):
    """The log did not acknowledge; nothing may be taken as written. Worth another try."""


class Subscription(Protocol):
    async def poll(self, max_records: int, timeout: float) -> dict[TopicPartition, list[Record]]:
        """Up to `max_records` records, in order within each partition; {} after `timeout` seconds without any.

        Raises OffsetOutOfRange.
        """
        ...

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Read this partition from `offset` next (after a failed transaction)."""
        ...

    def assignment(self) -> set[TopicPartition]: ...


class EventLog(Protocol):
    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Append records in order; return (partition, offset) of each once the log has acknowledged all.

        Raises LogUnavailable.
        """
        ...

    def subscribe(
        self, group: str, topics: Sequence[str], assigned: Assigned, revoked: Revoked
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join `group`. The partitions of `topics` are shared out among its subscriptions; a newcomer may take
        over partitions while the old owner still works on them, so owners are fenced in the store."""
        ...

    def follow(self, offsets: Mapping[TopicPartition, int]) -> AbstractAsyncContextManager[Subscription]:
        """Read these partitions from these offsets on, outside of any group: the caller knows who reads the others."""
        ...

    async def read(self, place: TopicPartition, offset: int, count: int = 1) -> list[Record]:
        """Up to `count` records from `offset` on, without a group; fewer at the end. Raises OffsetOutOfRange."""
        ...

    async def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, Bounds]:
        """Oldest and next offset of every partition."""
        ...
