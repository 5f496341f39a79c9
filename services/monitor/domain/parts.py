"""Batches of one schema, each column looked up once: to find a column by its name costs as much as to count hundreds of
its values."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from services.monitor.domain.grid import Floats, Ints

_DOUBLE = 8


@dataclass(frozen=True, slots=True)
class Doubles:
    """A column's numbers, NaN where missing, where they lie: `addresses` and `rows` of each part, and what keeps them
    there, arrays of Arrow or of NumPy."""

    addresses: Ints
    rows: Ints
    kept: list[Any]

    @classmethod
    def of(cls, chunks: Sequence[Any]) -> "Doubles":
        """Of a column's chunks, which are not copied where they are doubles and none is missing."""
        kept = [_whole(chunk) for chunk in chunks]
        return cls(np.array([_address(one) for one in kept], np.int64), np.array([len(one) for one in kept]), kept)

    def values(self) -> Floats:
        """All of them, one after another."""
        arrays = [one.to_numpy() if isinstance(one, pa.Array) else one for one in self.kept]
        return np.ascontiguousarray(np.concatenate(arrays)) if len(arrays) > 1 else np.ascontiguousarray(arrays[0])


class Parts:
    """Batches of one schema. `absent`: columns that they lack, of which every row's value is then missing."""

    def __init__(self, batches: Sequence[pa.RecordBatch], absent: Sequence[pa.Field] = ()) -> None:
        self.batches = [_with(batch, absent) for batch in batches] if absent else batches
        batches = self.batches
        self.schema = batches[0].schema
        self.rows = sum(batch.num_rows for batch in batches)
        self._columns = [batch.columns for batch in batches]
        self._places = {name: place for place, name in enumerate(self.schema.names)}

    def chunks(self, name: str) -> list[Any]:
        """A column, part by part."""
        place = self._places[name]
        return [columns[place] for columns in self._columns]

    def doubles(self, name: str) -> Doubles:
        """A column of numbers."""
        return Doubles.of(self.chunks(name))


def _with(batch: pa.RecordBatch, absent: Sequence[pa.Field]) -> pa.RecordBatch:
    for one in absent:
        batch = batch.append_column(one, pa.nulls(batch.num_rows, one.type))
    return batch


def _whole(chunk: Any) -> Any:
    if chunk.type == pa.float64() and not chunk.null_count:
        return chunk
    return np.ascontiguousarray(chunk.to_numpy(zero_copy_only=False), np.float64)


def _address(one: Any) -> int:
    if isinstance(one, pa.Array):
        buffer: Any = one.buffers()[1]
        if buffer.size < (one.offset + len(one)) * _DOUBLE:
            raise ValueError(f"a column of {len(one)} numbers in {buffer.size} bytes")
        return buffer.address + one.offset * _DOUBLE
    return one.ctypes.data
