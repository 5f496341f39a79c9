"""One transaction of a store in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from shared.events.catalog import topic_of
from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.log.postgres.changes import statements
from shared.log.postgres.connection import Connection, Executor
from shared.log.postgres.ddl import number, quoted
from shared.log.postgres.query import get_sql, select_sql
from shared.log.postgres.reading import pack, record_of
from shared.log.postgres.values import clean
from shared.log.records import TopicPartition
from shared.log.store import Claim, Conflict, DeadLetter, Fenced, IdempotencyRecord, InFlight
from shared.log.tables import Change, Query, Row, Table


class PostgresUnit:
    """The transaction open on `connection`. `topics` and `marked` tell whom to wake once it has committed."""

    def __init__(self, connection: Connection, schema: str, tables: dict[str, Table]) -> None:
        self._connection, self._schema, self._tables = connection, schema, tables
        self._sql = quoted(schema)
        self.appended: set[str] = set()
        self.topics: set[str] = set()
        self.marked = 0
        self.answers_kept = 0

    async def load(self, subject: str, after: int = 0) -> list[Event]:
        rows = await self._connection.fetch(
            f'SELECT topic, "offset", key, headers, value, recorded FROM {self._sql}.events'
            " WHERE key = $1 AND sequence > $2 ORDER BY sequence",
            clean(subject),
            after,
        )
        return [decode(record_of(row)) for row in rows]

    async def append(self, subject: str, expected: int | None, events: Sequence[Event]) -> list[Event]:
        # Who holds this row is alone in taking positions, until it commits: no position shows before an earlier one.
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

    async def apply(self, changes: Sequence[Change]) -> None:
        for sql, parameters in statements(self._schema, self._tables, changes):
            await self._connection.execute(sql, *parameters)

    async def get(self, table: str, *key: Any) -> Row | None:
        return await get_row(self._connection, self._schema, self._tables[table], key)

    async def find(self, query: Query) -> list[Row]:
        return await find_rows(self._connection, self._schema, self._tables[query.table], query)

    async def advance(self, consumer: str, claim: Claim, next_offset: int) -> Claim:
        status = await self._connection.execute(
            f"UPDATE {self._sql}.claims SET next_offset = $6"
            " WHERE consumer = $1 AND topic = $2 AND partition = $3 AND epoch = $4 AND next_offset = $5",
            consumer,
            *claim.place,
            claim.epoch,
            claim.next_offset,
            next_offset,
        )
        if status != "UPDATE 1":
            raise Fenced(f"{consumer} no longer owns {claim.place} at offset {claim.next_offset}")
        return Claim(claim.place, claim.epoch, next_offset)

    async def heads(self, consumer: str, subjects: Sequence[str]) -> dict[str, int]:
        asked = {clean(subject): subject for subject in subjects}
        rows = await self._connection.fetch(
            f"SELECT subject, sequence FROM {self._sql}.heads WHERE consumer = $1 AND subject = ANY($2::text[])",
            consumer,
            list(asked),
        )
        return {asked[row["subject"]]: row["sequence"] for row in rows}

    async def set_heads(self, consumer: str, heads: dict[str, int]) -> None:
        kept = {clean(subject): sequence for subject, sequence in sorted(heads.items())}
        await self._connection.execute(
            f"INSERT INTO {self._sql}.heads SELECT $1, * FROM unnest($2::text[], $3::bigint[])"
            " ON CONFLICT (consumer, subject) DO UPDATE SET sequence = excluded.sequence",
            consumer,
            list(kept),
            list(kept.values()),
        )

    async def mark_seen(self, consumer: str, event_ids: Sequence[str]) -> None:
        if event_ids:
            await self._connection.execute(
                f"INSERT INTO {self._sql}.seen (event_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
                sorted(map(clean, event_ids)),
            )
            self.marked += len(event_ids)

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        await self._connection.executemany(
            f'INSERT INTO {self._sql}.dead_letters (consumer, topic, partition, "offset", key, headers, value,'
            " recorded, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
            ' ON CONFLICT (consumer, topic, partition, "offset") DO UPDATE SET reason = excluded.reason,'
            " at = excluded.at",
            [_letter_row(letter) for letter in letters],
        )

    async def parked_keys(self, consumer: str) -> set[tuple[str, str]]:
        rows = await self._connection.fetch(
            f"SELECT DISTINCT topic, key FROM {self._sql}.dead_letters WHERE consumer = $1", consumer
        )
        return {(row["topic"], row["key"]) for row in rows}

    async def dead_letters(self, consumer: str | None = None, limit: int = 100) -> list[DeadLetter]:
        rows = await self._connection.fetch(
            f"SELECT * FROM {self._sql}.dead_letters WHERE $1::text IS NULL OR consumer = $1"
            ' ORDER BY topic, partition, "offset", consumer LIMIT $2',
            consumer,
            limit,
        )
        return [DeadLetter(row["consumer"], record_of(row, row["partition"]), row["reason"], row["at"]) for row in rows]

    async def remove_dead_letter(self, consumer: str, place: TopicPartition, offset: int) -> None:
        await self._connection.execute(
            f"DELETE FROM {self._sql}.dead_letters"
            ' WHERE consumer = $1 AND topic = $2 AND partition = $3 AND "offset" = $4',
            consumer,
            *place,
            offset,
        )

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        key_number = number(self._schema, "idempotency", key)
        if not await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key_number):
            raise InFlight(key)
        # A statement of its own, since its view of the data must be younger than the lock.
        row = await self._connection.fetchrow(
            f"SELECT digest, status, body FROM {self._sql}.idempotency WHERE key = $1", clean(key)
        )
        return IdempotencyRecord(row["digest"], row["status"], row["body"]) if row else None

    async def keep_idempotency(self, key: str, record: IdempotencyRecord) -> None:
        await self._connection.execute(
            f"INSERT INTO {self._sql}.idempotency (key, digest, status, body) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (key) DO UPDATE SET digest = $2, status = $3, body = $4, kept_at = now()",
            clean(key),
            record.digest,
            record.status,
            record.body,
        )
        self.answers_kept += 1

    async def lock(self, names: Sequence[str]) -> None:
        numbers = sorted({number(self._schema, "name", name) for name in names})
        await self._connection.execute("SELECT pg_advisory_xact_lock(n) FROM unnest($1::bigint[]) AS n", numbers)

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


async def get_row(connection: Executor, schema: str, table: Table, key: Sequence[Any]) -> Row | None:
    """One row of a view by its key."""
    row = await connection.fetchrow(get_sql(schema, table), *map(clean, key))
    return dict(row.items()) if row else None


async def find_rows(connection: Executor, schema: str, table: Table, query: Query) -> list[Row]:
    """The rows of a view that a query asks for."""
    sql, parameters = select_sql(schema, table, query)
    return [dict(row.items()) for row in await connection.fetch(sql, *parameters)]


def _letter_row(letter: DeadLetter) -> tuple[Any, ...]:
    record = letter.record
    return (
        letter.consumer,
        *record.place,
        record.offset,
        clean(record.key),
        pack(record.headers),
        record.value,
        record.recorded,
        clean(letter.reason),
        letter.at,
    )
