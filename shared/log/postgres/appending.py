"""Appending in groups: what units of work bring while one transaction is under way goes into the next, together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from msgspec.structs import replace

from shared.events.catalog import topic_of
from shared.events.codec import encode, recorded_at
from shared.events.envelope import Event
from shared.log.postgres.answers import keep_answers
from shared.log.postgres.connection import Connection, Pool, close_pool, unavailable_as
from shared.log.postgres.ddl import quoted
from shared.log.postgres.reading import pack
from shared.log.postgres.transaction import Written, transaction
from shared.log.postgres.values import clean
from shared.log.records import Outgoing
from shared.log.store import Conflict, IdempotencyRecord, StoreUnavailable

_Row = tuple[str, str, bytes, bytes, str, int]
"""Topic, key, headers, value, id, sequence."""

GROUP_EVENTS = 1_000
GROUP_BYTES = 8 * 2**20
"""Events appended together in one transaction; all those of a unit of work, however many."""


@dataclass(slots=True)
class Stream:
    """What one unit of work appends to a stream that stands at `expected`, and the same as records without their record
    time."""

    expected: int
    events: list[Event] = field(default_factory=list[Event])
    records: list[Outgoing] = field(default_factory=list[Outgoing])

    @property
    def head(self) -> int:
        """Where the stream stands afterwards."""
        return self.expected + len(self.events)


@dataclass(slots=True)
class Held:
    """What one unit of work appends, by subject, and the answer that it keeps under a key."""

    streams: dict[str, Stream] = field(default_factory=dict[str, Stream])
    answer: tuple[str, IdempotencyRecord] | None = None
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.streams) or self.answer is not None

    def append(self, subject: str, expected: int, events: Sequence[Event]) -> list[Event]:
        """Hold these back; they are returned with their place, and with now as record time until that is known.
        Raises Conflict, and Refused as `encode`."""
        stream = self.streams.setdefault(subject, Stream(expected))
        head = stream.head
        if head != expected:
            raise Conflict(f"{subject} stands at {head}, not at {expected}")
        recorded = datetime.now(UTC)
        placed = [event.at_position(head + place, recorded) for place, event in enumerate(events, 1)]
        records = [encode(replace(event, recorded=None)) for event in placed]
        stream.events += placed
        stream.records += records
        self.size += sum(len(record.value) for record in records)
        return placed


@dataclass(slots=True, eq=False)
class _Waiting:
    held: Held
    done: "asyncio.Future[None]"

    def end(self, error: Exception | None = None) -> None:
        if self.done.done():
            return  # who waited has gone
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Appender:
    """Appends to the streams of one schema, on a connection of its own: a unit that waits may hold one of the others.

    `committed(connection, topics, answers)` is awaited after each group."""

    def __init__(
        self,
        schema: str,
        pool: Pool,
        committed: Callable[[Connection, set[str], int], Awaitable[None]],
    ) -> None:
        self._sql, self._pool, self._committed = quoted(schema), pool, committed
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._moved: dict[str, int] = {}

    async def append(self, held: Held) -> None:
        """Returns when all is on disk. Raises Conflict, StoreUnavailable; nothing was kept then."""
        waiting = _Waiting(held, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await waiting.done

    async def close(self) -> None:
        """Append what waits, and leave."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        await close_pool(self._pool)

    async def _write_all(self) -> None:
        try:
            while group := self._next_group():
                await self._write(group)
        finally:
            self._writer = None

    def _next_group(self) -> list[_Waiting]:
        """Those who came first, each stream once. Who comes second to a stream has not seen what the first one did, and
        is told as soon as that is kept."""
        moved, self._moved = self._moved, dict[str, int]()
        group: list[_Waiting] = []
        later: list[_Waiting] = []
        taken: set[str] = set()
        events = size = 0
        for waiting in self._waiting:
            held = waiting.held
            events += sum(len(stream.events) for stream in held.streams.values())
            size += held.size
            full = bool(group) and (events > GROUP_EVENTS or size > GROUP_BYTES)
            if any(stream.expected < moved.get(subject, 0) for subject, stream in held.streams.items()):
                waiting.end(_late(waiting))
            elif full or taken & held.streams.keys():
                later.append(waiting)
            else:
                group.append(waiting)
                taken |= held.streams.keys()
        self._waiting = later
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        try:
            with unavailable_as(StoreUnavailable):
                await self._write_together(group)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, StoreUnavailable):
                for waiting in group:  # one of them cannot be kept; the others can
                    await self._write([waiting])
                return
            if isinstance(error, asyncpg.UniqueViolationError):
                error = Conflict(f"{', '.join(group[0].held.streams)}: {error}")
            for waiting in group:
                waiting.end(error)

    async def _write_together(self, group: list[_Waiting]) -> None:
        topics: set[str] = set()
        async with self._pool.acquire() as connection:
            async with transaction(connection) as written:
                fit = await self._append(written, group, topics)
                answers = [waiting.held.answer for waiting in fit if waiting.held.answer is not None]
                if answers:
                    await keep_answers(written, self._sql, answers)
            for waiting in fit:
                waiting.end()
                self._moved |= {subject: stream.head for subject, stream in waiting.held.streams.items()}
            for waiting in set(group).difference(fit):
                waiting.end(_late(waiting))
            with suppress(Exception):  # it has committed: what follows only hastens or tidies
                await self._committed(connection, topics, len(answers))

    async def _append(self, written: Written, group: list[_Waiting], topics: set[str]) -> list[_Waiting]:
        """Append what stands where it was expected; returns whose. `topics` gets what was appended to."""
        streams = [(subject, stream) for waiting in group for subject, stream in waiting.held.streams.items()]
        if not streams:
            return group
        recorded, heads = await self._turn(written, [clean(subject) for subject, _ in streams])
        fit = [
            waiting
            for waiting in group
            if all(heads[clean(subject)] == stream.expected for subject, stream in waiting.held.streams.items())
        ]
        rows = [row for waiting in fit for row in _rows(waiting.held, recorded)]
        if rows:
            await self._insert(written, rows, recorded)
            topics.update(row[0] for row in rows)
        return fit

    async def _turn(self, written: Written, subjects: list[str]) -> tuple[datetime, dict[str, int]]:
        """The record time, and where these streams stand. Who holds this row is alone in taking positions until it
        commits: no position shows before an earlier one.

        The streams are seen as they were before the wait for the row; one that went on meanwhile is found by the key
        of the events.
        """
        rows = await written.fetch(
            f"""
WITH turn AS (UPDATE {self._sql}.turn SET recorded = greatest(recorded, clock_timestamp()) RETURNING recorded)
SELECT turn.recorded, n.key,
       coalesce((SELECT max(e.sequence) FROM {self._sql}.events e WHERE e.key = n.key COLLATE "C"), 0) AS head
FROM turn, unnest($1::text[]) AS n (key)""",
            subjects,
        )
        return rows[0]["recorded"], {row["key"]: row["head"] for row in rows}

    async def _insert(self, written: Written, rows: list[_Row], recorded: datetime) -> None:
        topic, key, headers, value, name, sequence = map(list, zip(*rows, strict=True))
        await written.execute(
            f"""
INSERT INTO {self._sql}.events (topic, "offset", key, headers, value, recorded, id, sequence)
SELECT n.topic, coalesce((SELECT max(e."offset") FROM {self._sql}.events e WHERE e.topic = n.topic COLLATE "C"), -1)
                + row_number() OVER (PARTITION BY n.topic ORDER BY n.place),
       n.key, n.headers, n.value, $7, n.id, n.sequence
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::bigint[])
     WITH ORDINALITY AS n (topic, key, headers, value, id, sequence, place)""",
            topic,
            key,
            headers,
            value,
            name,
            sequence,
            recorded,
        )


def _late(waiting: _Waiting) -> Conflict:
    return Conflict(f"others came first to {', '.join(waiting.held.streams)}")


def _rows(held: Held, recorded: datetime) -> Iterator[_Row]:
    for subject, stream in held.streams.items():
        for event, bare in zip(stream.events, stream.records, strict=True):
            record = recorded_at(bare, recorded)
            topic = topic_of(event.data)
            yield topic, clean(subject), pack(record.headers), record.value, clean(event.id), event.sequence
