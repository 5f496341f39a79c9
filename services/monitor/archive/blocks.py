"""Batches as a block: a Parquet file (zstd) of one deployment, version, day and layout, and one row of it again.

A block holds its batches' columns as they came, behind `batch` and `row`, which place each prediction; so any reader of
Parquet understands it. Its rows lie in groups of GROUP, and finding one prediction reads one of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from services.monitor.archive.files import Files, Unreadable
from shared.log.tables import Change, Put, Row

GROUP = 8_192
BATCH, ROW = "batch", "row"
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Group:
    """What the rows of one block share. `day`: the UTC day on which their batch began; `layout`: of their columns."""

    deployment: str
    model: str
    version: int
    day: str
    layout: str


@dataclass(frozen=True, slots=True)
class Part:
    """One batch on its way into a block."""

    batch: str
    start: datetime
    end: datetime
    table: pa.RecordBatch


def layout_of(schema: pa.Schema) -> str:
    """A short name for the columns of a batch, their types and their order."""
    return blake2b(schema.remove_metadata().serialize().to_pybytes(), digest_size=8).hexdigest()


def path_of(group: Group, block: str) -> str:
    """Hive's layout, which Parquet readers take for columns."""
    deployment = quote(group.deployment, safe="")
    return f"deployment={deployment}/version={group.version}/day={group.day}/{block}.parquet"


def block_of(path: str) -> str:
    """The block that a path names."""
    return path.rsplit("/", 1)[-1].removesuffix(".parquet")


def write(files: Files, group: Group, block: str, parts: Sequence[Part]) -> list[Change]:
    """Write the file of a block; returns the rows that make it known. What follows may still not commit."""
    table = _table(parts)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=GROUP,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[field.name for field in table.schema if _repeats(field.type)],  # type: ignore[arg-type]
        column_encoding=_encodings(table.schema),
    )
    data = sink.getvalue()
    files.write(path_of(group, block), data)
    return [_row(group, block, parts, table, data.size), *_index(block, parts)]


def one(files: Files, path: str, position: int) -> dict[str, Any]:
    """The row at a position of a block, as values by column. Raises Unreadable."""
    with opened(files, path) as source:
        group = source.read_row_group(position // GROUP, use_threads=False)  # one thread is sooner done with so little
        return group.slice(position % GROUP, 1).to_pylist()[0]


def part(files: Files, path: str, first: int, rows: int) -> pa.Table:
    """So many rows of a block from a position on. Raises Unreadable."""
    with opened(files, path) as source:
        last = (first + rows - 1) // GROUP
        whole = source.read_row_groups(list(range(first // GROUP, last + 1)))
        return whole.slice(first % GROUP, rows)


def groups(files: Files, path: str, first: int = 0, backwards: bool = False) -> Iterator[pa.Table]:
    """A block's rows, GROUP at a time, from group `first` on. Raises Unreadable."""
    with opened(files, path) as source:
        numbers = range(first, source.num_row_groups)
        for number in reversed(numbers) if backwards else numbers:
            yield source.read_row_group(number)


class opened:
    """A block's file, closed when the `with` ends."""

    def __init__(self, files: Files, path: str) -> None:
        self._handle = files.open(path)
        self._path = path

    def __enter__(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._handle)
        except (pa.ArrowException, OSError) as error:
            self._handle.close()
            raise Unreadable(f"{self._path}: {error}") from error

    def __exit__(self, *details: object) -> None:
        self._handle.close()


def placed(batch: str, table: pa.RecordBatch) -> pa.Table:
    """A batch's rows with their places."""
    names = pa.repeat(pa.scalar(batch, pa.string()), table.num_rows)
    rows = pa.array(range(table.num_rows), pa.int32())
    schema = pa.schema([(BATCH, pa.string()), (ROW, pa.int32()), *table.schema.remove_metadata()])
    return pa.Table.from_arrays([names, rows, *table.columns], schema=schema)


def _table(parts: Sequence[Part]) -> pa.Table:
    return pa.concat_tables([placed(part.batch, part.table) for part in parts])


def _repeats(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_floating(kind)


def _encodings(schema: pa.Schema) -> dict[str, str]:
    """Whole numbers and times as differences. What has a dictionary gives it up by itself where it grows too big."""
    return {
        field.name: "DELTA_BINARY_PACKED"
        for field in schema
        if pa.types.is_int32(field.type) or pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)
    }


def _row(group: Group, block: str, parts: Sequence[Part], table: pa.Table, size: int) -> Change:
    return Put(
        "archive_blocks",
        {
            "block": block,
            "deployment": group.deployment,
            "model": group.model,
            "version": group.version,
            "day": group.day,
            "rows": table.num_rows,
            "start": min(part.start for part in parts),
            "end": max(part.end for part in parts),
            "path": path_of(group, block),
            "schema": table.schema.serialize().to_pybytes(),
            "bytes": size,
            "batches": len(parts),
        },
    )


def _index(block: str, parts: Sequence[Part]) -> list[Change]:
    changes: list[Change] = []
    first = 0
    for part in parts:
        row: Row = {"batch": part.batch, "block": block, "first": first, "rows": part.table.num_rows}
        changes.append(Put("archive_index", row))
        first += part.table.num_rows
    return changes
