"""One transaction of a store in PostgreSQL."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from shared.log.postgres.answers import keep_answers
from shared.log.postgres.changes import records, statements
from shared.log.postgres.connection import Executor
from shared.log.postgres.ddl import number, view_name
from shared.log.postgres.letters import Letters
from shared.log.postgres.query import get_sql, select_sql
from shared.log.postgres.streams import Streams
from shared.log.postgres.transaction import Written
from shared.log.postgres.values import array_number, array_text, clean
from shared.log.store import Claim, Fenced, IdempotencyRecord, InFlight
from shared.log.tables import Change, Delete, DuplicateKey, Insert, Put, Query, Row, Table


class PostgresUnit(Streams, Letters):
    """The transaction open on `connection`. `topics` and `marked` tell whom to wake once it has committed."""

    def __init__(self, connection: Written, schema: str, tables: dict[str, Table]) -> None:
        super().__init__(connection, schema)
        self._tables = tables
        self.marked = 0
        self.answers_kept = 0

    async def apply(self, changes: Sequence[Change]) -> None:
        for inserted, run in groupby(changes, key=lambda change: isinstance(change, Insert)):
            if inserted:
                for insert in cast("Iterator[Insert]", run):
                    await self._insert_rows(self._tables[insert.table], insert)
                continue
            for sql, parameters in statements(self._schema, self._tables, cast("list[Put | Delete]", list(run))):
                await self._connection.execute(sql, *parameters)

    async def _insert_rows(self, table: Table, insert: Insert) -> None:
        try:
            await self._connection.copy_records_to_table(
                view_name(table.name),
                schema_name=self._schema,
                columns=list(insert.columns),
                records=records(table, insert),
            )
        except asyncpg.UniqueViolationError as error:
            raise DuplicateKey(f"{table.name}: {error}") from error

    async def get(self, table: str, *key: Any) -> Row | None:
        return await get_row(self._connection, self._schema, self._tables[table], key)

    async def find(self, query: Query) -> list[Row]:
        return await find_rows(self._connection, self._schema, self._tables[query.table], query)

    async def advance(self, consumer: str, ends: Mapping[Claim, int]) -> list[Claim]:
        claims = sorted(ends, key=lambda claim: claim.place)
        status = await self._connection.execute(
            f"""
UPDATE {self._sql}.claims AS c SET next_offset = n.next_offset
FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[])
     AS n (topic, partition, epoch, held, next_offset)
WHERE c.consumer = $1 AND c.topic = n.topic AND c.partition = n.partition AND c.epoch = n.epoch
      AND c.next_offset = n.held""",
            consumer,
            [claim.place.topic for claim in claims],
            [claim.place.partition for claim in claims],
            [claim.epoch for claim in claims],
            [claim.next_offset for claim in claims],
            [ends[claim] for claim in claims],
        )
        if status != f"UPDATE {len(claims)}":
            places = ", ".join(f"{claim.place} at offset {claim.next_offset}" for claim in claims)
            raise Fenced(f"{consumer} no longer owns all of: {places}")
        return [Claim(claim.place, claim.epoch, ends[claim]) for claim in claims]

    async def heads(self, consumer: str, subjects: Sequence[str]) -> dict[str, int]:
        asked = {clean(subject): subject for subject in subjects}
        rows = await self._connection.fetch(
            f"SELECT subject, sequence FROM {self._sql}.heads WHERE consumer = $1 AND subject = ANY($2::text::text[])",
            consumer,
            array_text(list(asked)),
        )
        return {asked[row["subject"]]: row["sequence"] for row in rows}

    async def set_heads(self, consumer: str, heads: dict[str, int]) -> None:
        kept = {clean(subject): sequence for subject, sequence in sorted(heads.items())}
        await self._connection.execute(
            f"INSERT INTO {self._sql}.heads SELECT $1, * FROM unnest($2::text::text[], $3::text::bigint[])"
            " ON CONFLICT (consumer, subject) DO UPDATE SET sequence = excluded.sequence",
            consumer,
            array_text(list(kept)),
            array_number(kept.values()),
        )

    async def mark_seen(self, consumer: str, event_ids: Sequence[str]) -> None:
        if event_ids:
            await self._connection.execute(
                f"INSERT INTO {self._sql}.seen (event_id) SELECT unnest($1::text::text[]) ON CONFLICT DO NOTHING",
                array_text(sorted(map(clean, event_ids))),
            )
            self.marked += len(event_ids)

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
        await keep_answers(self._connection, self._sql, [(key, record)])
        self.answers_kept += 1

    async def lock(self, names: Sequence[str]) -> None:
        numbers = sorted({number(self._schema, "name", name) for name in names})
        await self._connection.fetch("SELECT pg_advisory_xact_lock(n) FROM unnest($1::bigint[]) AS n", numbers)


async def get_row(connection: Executor, schema: str, table: Table, key: Sequence[Any]) -> Row | None:
    """One row of a view by its key."""
    row = await connection.fetchrow(get_sql(schema, table), *map(clean, key))
    return dict(row.items()) if row else None


async def find_rows(connection: Executor, schema: str, table: Table, query: Query) -> list[Row]:
    """The rows of a view that a query asks for."""
    sql, parameters = select_sql(schema, table, query)
    return [dict(row.items()) for row in await connection.fetch(sql, *parameters)]
