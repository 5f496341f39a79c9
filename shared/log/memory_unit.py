"""The unit of work of the store in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.events.catalog import topic_of
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.log.memory_query import select
from shared.log.records import Record, TopicPartition
from shared.log.store import Claim, Conflict, DeadLetter, Fenced, IdempotencyRecord, InFlight
from shared.log.tables import Change, Delete, DuplicateKey, Insert, Put, Query, Row, Table


class Committed:
    """What is committed; units read it and add to it when they commit."""

    def __init__(self, tables: dict[str, Table]) -> None:
        self.tables = tables
        self.rows: dict[str, dict[tuple[Any, ...], Row]] = {name: {} for name in tables}
        self.streams: dict[str, list[Event]] = defaultdict(list)
        self.outbox: dict[str, list[Record]] = defaultdict(list)
        self.relayed: dict[str, int] = {}
        self.claims: dict[tuple[str, TopicPartition], Claim] = {}
        self.heads: dict[str, dict[str, int]] = defaultdict(dict)
        self.seen: set[str] = set()
        self.letters: dict[tuple[str, TopicPartition, int], DeadLetter] = {}
        self.idempotency: dict[str, IdempotencyRecord] = {}
        self.in_flight: set[str] = set()
        self.locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.append_lock = asyncio.Lock()
        self.relay_lock = asyncio.Lock()
        self.filled = False
        self.changed = asyncio.Event()
        self.last_recorded: datetime = datetime.min.replace(tzinfo=UTC)

    def record_time(self) -> datetime:
        """Now, but never before the last answer."""
        self.last_recorded = max(self.last_recorded, datetime.now(UTC))
        return self.last_recorded

    def apply(self, change: Change) -> None:
        table = self.tables[change.table]
        if isinstance(change, Insert):
            for row in inserted(change):
                self.rows[table.name][tuple(row[name] for name in table.key)] = dict.fromkeys(table.columns) | row
            return
        if isinstance(change, Delete):
            self.rows[table.name].pop(tuple(change.key[name] for name in table.key), None)
            return
        key = tuple(change.row[name] for name in table.key)
        row = self.rows[table.name].setdefault(key, dict.fromkeys(table.columns))
        row.update(change.row)


class MemoryUnit:
    """Stages changes; `commit` makes them all at once, `release` frees what was held."""

    def __init__(self, committed: Committed) -> None:
        self._committed = committed
        self.appended: set[str] = set()
        self._events: list[Event] = []
        self._changes: list[Change] = []
        self._advances: list[tuple[str, Claim, int]] = []
        self._heads: list[tuple[str, dict[str, int]]] = []
        self._seen: list[str] = []
        self._parked: list[DeadLetter] = []
        self._unparked: list[tuple[str, TopicPartition, int]] = []
        self._idempotency: dict[str, IdempotencyRecord] = {}
        self._held_keys: set[str] = set()
        self._held: list[asyncio.Lock] = []

    async def load(self, subject: str, after: int = 0) -> list[Event]:
        own = [event for event in self._events if event.subject == subject]
        return [event for event in [*self._committed.streams[subject], *own] if event.sequence > after]

    async def load_many(self, after: Mapping[str, int]) -> list[Event]:
        return [event for subject, sequence in after.items() for event in await self.load(subject, sequence)]

    async def append(self, subject: str, expected: int | None, events: Sequence[Event]) -> list[Event]:
        if self._committed.append_lock not in self._held:
            await self._committed.append_lock.acquire()
            self._held.append(self._committed.append_lock)
        stream = await self.load(subject)
        head = stream[-1].sequence if stream else 0
        if expected is not None and head != expected:
            raise Conflict(f"{subject} stands at {head}, not {expected}")
        placed = [
            event.at_position(head + place, self._committed.record_time()) for place, event in enumerate(events, 1)
        ]
        self._events += placed
        self.appended.add(subject)
        return placed

    async def apply(self, changes: Sequence[Change]) -> None:
        self._changes += [self._checked(change) for change in changes]

    async def get(self, table: str, *key: Any) -> Row | None:
        row = self._view(table).get(key)
        return dict(row) if row is not None else None

    async def find(self, query: Query) -> list[Row]:
        return select(self._committed.tables[query.table], self._view(query.table).values(), query)

    async def advance(self, consumer: str, ends: Mapping[Claim, int]) -> list[Claim]:
        for claim, next_offset in ends.items():
            self._check_claim(consumer, claim)
            self._advances.append((consumer, claim, next_offset))
        return [Claim(claim.place, claim.epoch, next_offset) for claim, next_offset in ends.items()]

    async def heads(self, consumer: str, subjects: Sequence[str]) -> dict[str, int]:
        known = self._committed.heads[consumer]
        return {subject: known[subject] for subject in subjects if subject in known}

    async def set_heads(self, consumer: str, heads: dict[str, int]) -> None:
        self._heads.append((consumer, dict(heads)))

    async def mark_seen(self, consumer: str, event_ids: Sequence[str]) -> None:
        self._seen += event_ids

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        self._parked += letters

    async def parked_keys(self, consumer: str) -> set[tuple[str, str]]:
        return {(letter.record.topic, letter.record.key) for letter in await self.dead_letters(consumer, 10**9)}

    async def dead_letters(self, consumer: str | None = None, limit: int = 100) -> list[DeadLetter]:
        letters = [letter for letter in self._committed.letters.values() if consumer in (None, letter.consumer)]
        return sorted(letters, key=lambda it: (it.record.topic, it.record.partition, it.record.offset))[:limit]

    async def remove_dead_letter(self, consumer: str, place: TopicPartition, offset: int) -> None:
        self._unparked.append((consumer, place, offset))

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        if key in self._committed.in_flight and key not in self._held_keys:
            raise InFlight(key)
        self._committed.in_flight.add(key)
        self._held_keys.add(key)
        return self._committed.idempotency.get(key)

    async def keep_idempotency(self, key: str, record: IdempotencyRecord) -> None:
        self._idempotency[key] = record

    async def lock(self, names: Sequence[str]) -> None:
        for name in sorted(set(names)):
            lock = self._committed.locks[name]
            if lock not in self._held:
                await lock.acquire()
                self._held.append(lock)

    def commit(self) -> None:
        """Make every staged change, or raise Fenced and make none. Has no await: nobody sees half of it."""
        committed = self._committed
        for consumer, claim, _ in self._advances:
            self._check_claim(consumer, claim)
        for event in self._events:
            committed.streams[event.subject].append(event)
            self._to_outbox(event)
        for change in self._changes:
            committed.apply(change)
        for consumer, claim, next_offset in self._advances:
            committed.claims[consumer, claim.place] = Claim(claim.place, claim.epoch, next_offset)
        for consumer, heads in self._heads:
            committed.heads[consumer].update(heads)
        committed.seen.update(self._seen)
        committed.letters |= {(it.consumer, it.record.place, it.record.offset): it for it in self._parked}
        for name in self._unparked:
            committed.letters.pop(name, None)
        committed.idempotency |= self._idempotency
        committed.changed.set()
        committed.changed = asyncio.Event()

    def release(self) -> None:
        """Give back locks and idempotency keys, whether committed or not."""
        self._committed.in_flight -= self._held_keys
        for lock in self._held:
            lock.release()
        self._held.clear()

    def _to_outbox(self, event: Event) -> None:
        topic, outgoing = topic_of(event.data), encode(event)
        kept = self._committed.outbox[topic]
        recorded = event.recorded or self._committed.record_time()
        kept.append(Record(topic, 0, len(kept), outgoing.key, outgoing.headers, outgoing.value, recorded))

    def _check_claim(self, consumer: str, claim: Claim) -> None:
        if self._committed.claims.get((consumer, claim.place)) != claim:
            raise Fenced(f"{consumer} no longer owns {claim.place} at offset {claim.next_offset}")

    def _view(self, table: str) -> dict[tuple[Any, ...], Row]:
        staged = [change for change in self._changes if change.table == table]
        if not staged:
            return self._committed.rows[table]
        view = Committed({table: self._committed.tables[table]})
        view.rows[table] = {key: dict(row) for key, row in self._committed.rows[table].items()}
        for change in staged:
            view.apply(change)
        return view.rows[table]

    def _checked(self, change: Change) -> Change:
        table = self._committed.tables[change.table]
        if isinstance(change, Insert):
            return self._checked_insert(table, change)
        given = change.row if isinstance(change, Put) else change.key
        unknown = [name for name in given if name not in table.columns]
        absent = [name for name in table.key if given.get(name) is None]
        if unknown or absent:
            raise ValueError(f"change of {table.name}: unknown columns {unknown}, key columns without value {absent}")
        if isinstance(change, Delete):
            return change
        return Put(change.table, dict(_plain(table, change.row)))

    def _checked_insert(self, table: Table, insert: Insert) -> Insert:
        unknown = [name for name in insert.columns if name not in table.columns]
        absent = [name for name in table.key if None in insert.columns.get(name, [None])]
        if unknown or absent:
            raise ValueError(f"insert into {table.name}: unknown columns {unknown}, key columns without value {absent}")
        known = set(self._view(table.name))
        for row in inserted(insert):
            key = tuple(row[name] for name in table.key)
            if key in known:
                raise DuplicateKey(f"{table.name}: {key} is there already")
            known.add(key)
        columns = {name: [_stored(table, name, value) for value in given] for name, given in insert.columns.items()}
        return Insert(insert.table, columns)


def inserted(insert: Insert) -> list[Row]:
    """The rows of an insert."""
    values = zip(*insert.columns.values(), strict=True)
    return [dict(zip(insert.columns, row, strict=True)) for row in values]


def _plain(table: Table, row: Row) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield name, _stored(table, name, value)


def _stored(table: Table, name: str, value: Any) -> Any:
    """A value as a database would give it back: JSON columns hold plain JSON data."""
    return orjson.loads(orjson.dumps(value)) if table.columns[name] == "json" and value is not None else value
