"""The event log as one Parquet file, row group by row group, in bounded memory.

Columns: `event_id, type, node, subject, sequence, actor, time, recorded, causationid, correlationid, topic, partition,
offset, leaf` (hex), `dataschema`, `data` (JSON of the event's own facts) and `entry` (the JSON that `leaf` is made of).
Times are UTC in microseconds. Rows come in the order in which they were recorded.
"""

# pyright: basic
# pyarrow ships no types

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.events.batches import TIMESTAMP
from shared.log.store import Store
from shared.log.tables import Query, Row, cursor_of

MEDIA_TYPE = "application/vnd.apache.parquet"
GROUP = 5_000
"""Rows of one row group: with entries of a kilobyte, some megabytes."""

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("event_id", "type", "node", "subject")]
    + [("sequence", pa.int64()), ("actor", pa.string()), ("time", TIMESTAMP), ("recorded", TIMESTAMP)]
    + [(name, pa.string()) for name in ("causationid", "correlationid", "topic")]
    + [("partition", pa.int32()), ("offset", pa.int64())]
    + [(name, pa.string()) for name in ("leaf", "dataschema", "data", "entry")]
)


class _Drained:
    """A file that gives away what was written to it, so that it never grows."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False
        self._place = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.pieces.append(piece)
        self._place += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._place

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


async def stream(store: Store, query: Query, most: int, group: int = GROUP) -> AsyncIterator[bytes]:
    """The file of the ledger rows of a query, in pieces of `group` rows; at most `most` rows."""
    sink = _Drained()
    writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), SCHEMA, compression="zstd")
    table, written = store.tables[query.table], 0
    while written < most:
        rows = await store.find(replace(query, limit=min(group, most - written)))
        if not rows:
            break
        await asyncio.to_thread(_write, writer, rows)
        written += len(rows)
        query = replace(query, after=cursor_of(table, query, rows[-1]))
        yield sink.take()
    writer.close()
    yield sink.take()


def _write(writer: pq.ParquetWriter, rows: list[Row]) -> None:
    writer.write_table(pa.Table.from_pylist([_row(row) for row in rows], SCHEMA))


def _row(row: Row) -> dict[str, Any]:
    entry = orjson.loads(row["entry"])
    said = {"dataschema": entry["dataschema"], "data": orjson.dumps(entry["data"]).decode(), "leaf": row["leaf"].hex()}
    return {**row, **said}
