"""Streams of events in PostgreSQL, and their positions in the outbox."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from shared.events.catalog import topic_of
from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.log.postgres.connection import Executor
from shared.log.postgres.ddl import quoted
from shared.log.postgres.reading import pack, record_of
from shared.log.postgres.transaction import Written
from shared.log.postgres.values import clean
from shared.log.store import Conflict


async def rows_behind(reader: Executor | Written, schema: str, after: Mapping[str, int]) -> list[Any]:
    """Rows as `record_of` takes them, with their sequence: those of each stream behind the sequence named for it, in
    the order of stream and sequence.

    `OFFSET 0` keeps the server to the index by key, stream by stream: it takes the streams for many and the events
    behind a sequence for a third of all, and would read the whole table.
    """
    return await reader.fetch(
        f"""
SELECT found.* FROM unnest($1::text[], $2::bigint[]) AS n (key, after), LATERAL (
    SELECT e.topic, e."offset", e.key, e.headers, e.value, e.recorded, e.sequence FROM {quoted(schema)}.events AS e
    WHERE e.key = n.key COLLATE "C" AND e.sequence > n.after ORDER BY e.sequence OFFSET 0) AS found
ORDER BY found.key, found.sequence""",
        list(after),
        list(after.values()),
    )


class Streams:
    """The part of a unit of work that reads and appends events. `topics`: those it has appended to."""

    def __init__(self, connection: Written, schema: str) -> None:
        self._connection, self._schema, self._sql = connection, schema, quoted(schema)
        self.appended: set[str] = set()
        self.topics: set[str] = set()

    async def load(self, subject: str, after: int = 0) -> list[Event]:
        # not `rows_behind` of one: that takes a third longer for 5 events, and a fifth longer for 5,000
        rows = await self._connection.fetch(
            f'SELECT topic, "offset", key, headers, value, recorded FROM {self._sql}.events'
            " WHERE key = $1 AND sequence > $2 ORDER BY sequence",
            clean(subject),
            after,
        )
        return [decode(record_of(row)) for row in rows]

    async def load_many(self, after: Mapping[str, int]) -> list[Event]:
        behind = {clean(subject): sequence for subject, sequence in after.items()}
        return [decode(record_of(row)) for row in await rows_behind(self._connection, self._schema, behind)]

    async def append(self, subject: str, expected: int | None, events: Sequence[Event]) -> list[Event]:
        # Who holds this row is alone in taking positions until it commits, which does not wait for the disk
        # (`transaction`): no position shows before an earlier one.
        recorded: Any = await self._connection.fetchval(
            f"UPDATE {self._sql}.turn SET recorded = greatest(recorded, clock_timestamp()) RETURNING recorded"
        )
        head = await self._head(subject) if expected is None else expected
        placed = [event.at_position(head + place, recorded) for place, event in enumerate(events, 1)]
        try:
            status = await self._insert(subject, head, placed)
        except asyncpg.UniqueViolationError as error:
            raise Conflict(f"{subject}: {error}") from error
        if status != f"INSERT 0 {len(placed)}":
            raise Conflict(f"{subject} does not stand at {expected}")
        self.appended.add(subject)
        self.topics |= {topic_of(event.data) for event in placed}
        return placed

    async def _head(self, subject: str) -> int:
        return await self._connection.fetchval(
            f"SELECT coalesce(max(sequence), 0) FROM {self._sql}.events WHERE key = $1", clean(subject)
        )

    async def _insert(self, subject: str, head: int, events: Sequence[Event]) -> str:
        encoded = [encode(event) for event in events]
        return await self._connection.execute(
            f"""
INSERT INTO {self._sql}.events (topic, "offset", key, headers, value, recorded, id, sequence)
SELECT n.topic, coalesce((SELECT max(e."offset") FROM {self._sql}.events e WHERE e.topic = n.topic), -1)
                + row_number() OVER (PARTITION BY n.topic ORDER BY n.place),
       $1, n.headers, n.value, n.recorded, n.id, $2 + n.place
FROM unnest($3::text[], $4::bytea[], $5::bytea[], $6::timestamptz[], $7::text[])
     WITH ORDINALITY AS n (topic, headers, value, recorded, id, place)
WHERE $2 = coalesce((SELECT max(sequence) FROM {self._sql}.events WHERE key = $1), 0)""",
            clean(subject),
            head,
            [topic_of(event.data) for event in events],
            [pack(outgoing.headers) for outgoing in encoded],
            [outgoing.value for outgoing in encoded],
            [event.recorded for event in events],
            [clean(event.id) for event in events],
        )
