"""Records out of a table of records, and headers in and out of one column."""

from typing import Any

import msgspec

from shared.log.log import OffsetOutOfRange
from shared.log.postgres.connection import Executor
from shared.log.records import Bounds, Headers, Record, TopicPartition

MAX_BYTES = 8 * 2**20
"""Of values in one reading (the first record comes whatever its size), so that large batches stay few in memory."""

_decoder = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])
_encoder = msgspec.msgpack.Encoder()


def pack(headers: Headers) -> bytes:
    """Headers as MessagePack: an array of [name, bytes]."""
    return _encoder.encode(headers)


def record_of(row: Any, partition: int = 0) -> Record:
    """A record of the columns topic, offset, key, headers, value, recorded."""
    return Record(
        row["topic"],
        partition,
        row["offset"],
        row["key"],
        _decoder.decode(row["headers"]),
        row["value"],
        row["recorded"],
    )


async def read_records(
    reader: Executor, table: str, topic: str, offset: int, count: int, max_bytes: int = MAX_BYTES
) -> list[Record]:
    """Up to `count` records of `topic` from `offset` on, of about `max_bytes` at most; `table` is SQL."""
    rows = await reader.fetch(
        f"""
SELECT topic, "offset", key, headers, value, recorded FROM (
    SELECT *, sum(octet_length(value)) OVER (ORDER BY "offset") - octet_length(value) AS before FROM (
        SELECT topic, "offset", key, headers, value, recorded FROM {table}
        WHERE topic = $1 AND "offset" >= $2 ORDER BY "offset" LIMIT $3) AS counted) AS weighed
WHERE before < $4 ORDER BY "offset" """,
        topic,
        offset,
        count,
        max_bytes,
    )
    return [record_of(row) for row in rows]


async def read_bounds(reader: Executor, table: str, topic: str) -> Bounds:
    """Oldest and next offset of a topic."""
    row: Any = await reader.fetchrow(
        f"""SELECT coalesce((SELECT min("offset") FROM {table} WHERE topic = $1), 0),
                   coalesce((SELECT max("offset") FROM {table} WHERE topic = $1), -1) + 1""",
        topic,
    )
    return Bounds(row[0], row[1])


async def read_within(
    reader: Executor, table: str, place: TopicPartition, offset: int, count: int, max_bytes: int = MAX_BYTES
) -> list[Record]:
    """As `read_records`; raises OffsetOutOfRange where the log does not hold `offset` and it is not the next."""
    outside = place.partition != 0 or offset < 0
    records = [] if outside else await read_records(reader, table, place.topic, offset, count, max_bytes)
    if records and records[0].offset == offset:
        return records
    bounds = Bounds(0, 0) if place.partition else await read_bounds(reader, table, place.topic)
    if outside or records or not bounds.begin <= offset <= bounds.end:
        raise OffsetOutOfRange(place, offset, bounds)
    return []
