"""Dead letters in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from shared.log.postgres.ddl import quoted
from shared.log.postgres.reading import pack, record_of
from shared.log.postgres.transaction import Written
from shared.log.postgres.values import clean
from shared.log.records import TopicPartition
from shared.log.store import DeadLetter


class Letters:
    """The part of a unit of work that keeps dead letters."""

    def __init__(self, connection: Written, schema: str) -> None:
        self._connection, self._sql = connection, quoted(schema)

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
