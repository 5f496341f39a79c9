"""Store: what one service keeps for itself (its streams, its views, its place in the log), in one transaction.

A request appends events and its idempotency record in one unit of work; a consumer applies rows, dead letters, further
events and its offsets in one unit of work. Adapters: `shared.log.memory`, `shared.log.postgres`; both pass
`tests/contract/test_store.py`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.events.envelope import Event
from shared.log.records import Record, TopicPartition
from shared.log.tables import Change, Query, Row, Table


class Conflict(Exception):
    """Another writer appended to the stream first; load again and decide again."""


class Fenced(Exception):
    """Another consumer has claimed the partition since; nothing of this unit of work was kept."""


class InFlight(Exception):
    """A request with the same Idempotency-Key has not ended yet."""


class InUse(Exception):
    """Somebody else is at work there: in the scratch store, or filling the views."""


class StoreUnavailable(Exception):
    """The store cannot be reached or is restarting; nothing was kept. Worth another try."""


class BeingFilled(StoreUnavailable):
    """A rebuild fills the views; who consumes for them otherwise waits until it has ended."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to advance one partition for one consumer, until somebody claims it again."""

    place: TopicPartition
    epoch: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    digest: str
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be applied, or one that waits behind such a record of the same key."""

    consumer: str
    record: Record
    reason: str
    at: datetime


class UnitOfWork(Protocol):
    """One transaction. It commits when its `async with` block ends well and leaves no trace otherwise.

    `appended`: the subjects of the streams it has appended to.
    """

    appended: set[str]

    async def load(self, subject: str, after: int = 0) -> list[Event]:
        """The events of a stream with a sequence above `after`, in order."""
        ...

    async def load_many(self, after: Mapping[str, int]) -> list[Event]:
        """The events of several streams with a sequence above the one named for each; those of a stream in order."""
        ...

    async def append(self, subject: str, expected: int | None, events: Sequence[Event]) -> list[Event]:
        """Append behind sequence `expected` (0: the stream must be new; None: wherever the stream ends, for streams
        that no decision guards); returns the events with sequence and record time.

        Every event goes to the topic of its type (`catalog.topic_of`), in commit order. Raises Conflict.
        """
        ...

    async def apply(self, changes: Sequence[Change]) -> None:
        """Make these changes to the views, in order."""
        ...

    async def get(self, table: str, *key: Any) -> Row | None: ...

    async def find(self, query: Query) -> list[Row]: ...

    async def advance(self, consumer: str, ends: Mapping[Claim, int]) -> list[Claim]:
        """Set the consumer's place in the partition of each claim; returns the claims from there on.

        Raises Fenced when a claim is no longer the newest or its offset moved.
        """
        ...

    async def heads(self, consumer: str, subjects: Sequence[str]) -> dict[str, int]:
        """The last sequence that the consumer applied of each stream; absent means none."""
        ...

    async def set_heads(self, consumer: str, heads: dict[str, int]) -> None: ...

    async def mark_seen(self, consumer: str, event_ids: Sequence[str]) -> None:
        """Let `Store.wait_seen` know that the views hold these events."""
        ...

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Keep records among the dead letters."""
        ...

    async def parked_keys(self, consumer: str) -> set[tuple[str, str]]:
        """(topic, key) of every dead letter that still waits."""
        ...

    async def dead_letters(self, consumer: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Those that wait, in the order of topic, partition and offset."""
        ...

    async def remove_dead_letter(self, consumer: str, place: TopicPartition, offset: int) -> None:
        """After a replay succeeded or someone discarded it."""
        ...

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        """The answer kept for this key; takes the key for this unit of work. Raises InFlight."""
        ...

    async def keep_idempotency(self, key: str, record: IdempotencyRecord) -> None: ...

    async def lock(self, names: Sequence[str]) -> None:
        """Hold these names until the end of the unit of work; two units never hold one name at once."""
        ...


class Store(Protocol):
    tables: dict[str, Table]

    async def setup(self) -> None:
        """Create or extend what this service keeps; safe to repeat."""
        ...

    def begin(self, together: bool = False) -> AbstractAsyncContextManager[UnitOfWork]:
        """One unit of work. `together`: for those that only append and keep an answer; it is written when the block
        ends, together with what others bring at that moment, so that many at once are fast. Conflict may then come at
        the end of the block, and an appended event bears the time of its record only once it is read again."""
        ...

    async def claim(self, consumer: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, Claim]:
        """Become the owner of these partitions and learn where to go on; older claims are fenced."""
        ...

    async def get(self, table: str, *key: Any) -> Row | None:
        """One row by its key, outside any unit of work."""
        ...

    async def find(self, query: Query) -> list[Row]: ...

    async def wait_seen(self, event_id: str, timeout: float) -> bool:
        """Wait until a consumer of this service has marked the event; False after `timeout` seconds."""
        ...

    async def offsets(self) -> dict[tuple[str, TopicPartition], int]:
        """The next offset of every (consumer, partition)."""
        ...

    async def outbox(self, topic: str, after: int, limit: int) -> list[Record]:
        """Own events of a topic from offset `after` on, in append order, as records (partition 0)."""
        ...

    async def relayed(self, topic: str) -> int:
        """The outbox offset up to which the relay has published."""
        ...

    async def set_relayed(self, topic: str, offset: int) -> None: ...

    async def relay_lag(self, topics: Sequence[str]) -> int:
        """Own events of these topics that the relay has not yet published."""
        ...

    async def waiting_dead_letters(self) -> dict[str, int]:
        """The number of dead letters that wait, by consumer."""
        ...

    def relaying(self) -> AbstractAsyncContextManager[None]:
        """Be the one relay of this service for as long as the block runs; waits until no other is."""
        ...

    async def wait_appended(self, timeout: float) -> None:
        """Return when something was appended, or after `timeout` seconds."""
        ...

    async def clear_views(self, consumer: str) -> None:
        """Empty the views but those that stay, forget the places, heads and dead letters of this consumer: a rebuild
        begins."""
        ...

    def filling(self) -> AbstractAsyncContextManager[None]:
        """Be the one who fills the emptied views for as long as the block, and this process, runs. Raises InUse."""
        ...

    async def is_filled(self) -> bool:
        """Whether somebody does."""
        ...

    def loading(self, tables: Sequence[str]) -> AbstractAsyncContextManager[None]:
        """Keep these views without the indexes that only queries need, for as long as the block runs: many rows then
        come in at a third of the cost, and the indexes are made in one go at the end (or by the next `setup`)."""
        ...

    async def close(self) -> None: ...
