"""Arrow streams of a schema that came before for the same version: read and looked through in a handful of calls.

The first stream of a schema goes through `arrow_rows`, which tells every fault. Where it went on byte for byte, its
schema fits the version, and that need not be found out again: of the next ones only the values are looked at, all
numbers in one sum. What is odd in any way is not judged here; it goes the long way.
"""

# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from services.monitor.facts import Version
from services.monitor.intake.arrow_rows import EARLIEST, EPOCH, Taken, text_fits
from shared.events import batches
from shared.events.registry import Field

MAX_SHAPES = 256
MAX_HEAD = 64 * 2**10
"""Bytes of a schema that is remembered."""

_GOES_ON = b"\xff\xff\xff\xff"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_WHOLE_TEXTS = ("entity", "segment")
_Key = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A schema that fits a version. `doubles`: columns of which every value is there and finite; `needed`: others that
    must hold no null; `texts`: those whose lengths have a limit."""

    schema: pa.Schema
    doubles: tuple[str, ...]
    needed: tuple[int, ...]
    texts: tuple[int, ...]
    at: int


@dataclass(slots=True)
class Shapes:
    """The schemas that came last; the oldest is forgotten for the newest. A version's signature never changes."""

    _known: dict[_Key, _Shape] = field(default_factory=dict[_Key, _Shape])

    def learn(self, version: Version, taken: Taken, body: bytes) -> None:
        """Remember the schema of a stream that was taken as it came."""
        size = _head(body)
        names = taken.batch.schema.names
        if taken.table is not body or size is None or "prediction_id" in names:
            return
        if len(self._known) >= MAX_SHAPES:
            self._known.pop(next(iter(self._known)))
        self._known[version.model, version.version, body[:size]] = _shape(version, taken.batch.schema)

    def taken(self, version: Version, body: bytes, present: datetime, skew: float) -> Taken | None:
        """The batch of a body whose schema is known and whose values are as they should be; None: look closely."""
        size = _head(body)
        shape = self._known.get((version.model, version.version, body[:size])) if size is not None else None
        if size is None or shape is None:
            return None
        try:
            message = pa.ipc.read_message(pa.py_buffer(body).slice(size))
            batch = pa.ipc.read_record_batch(message, shape.schema)
            batch.validate(full=True)
            over = size + 8 + int.from_bytes(body[size + 4 : size + 8], "little") + message.body.size
            if body[size : size + 4] != _GOES_ON or body[over:] not in (b"", _END) or not _sound(shape, batch):
                return None
        except (pa.ArrowException, ValueError, OSError, MemoryError, OverflowError):
            return None
        span = _span(batch.column(shape.at), present, skew)
        return Taken(batch, body, span) if span is not None else None


def _head(body: bytes) -> int | None:
    """Bytes of a stream up to the end of its schema; None where that is no schema to remember."""
    size = 8 + int.from_bytes(body[4:8], "little")
    return size if body[:4] == _GOES_ON and 8 < size <= MAX_HEAD and len(body) > size else None


def _shape(version: Version, schema: pa.Schema) -> _Shape:
    required = _required(version.signature.inputs, batches.FEATURE) | _required(
        version.signature.outputs, batches.OUTPUT
    )
    names, types = schema.names, schema.types
    doubles = tuple(name for name, kind in zip(names, types, strict=True) if kind == pa.float64())
    needed = tuple(place for place, name in enumerate(names) if name in required and name not in doubles)
    texts = tuple(place for place, name in enumerate(names) if name in _WHOLE_TEXTS)
    return _Shape(schema, doubles, needed, texts, names.index("at"))


def _required(fields: Sequence[Field], prefix: str) -> set[str]:
    return {prefix + one.name for one in fields if one.required}


def _sound(shape: _Shape, batch: pa.RecordBatch) -> bool:
    """Whether all values are surely as they should be."""
    if not batch.num_rows or any(batch.column(place).null_count for place in shape.needed):
        return False
    if not all(text_fits(batch.column(place)) for place in shape.texts):
        return False
    if not shape.doubles:
        return True
    numbers = batch.select(shape.doubles).to_tensor(row_major=False)  # refuses nulls, which may be allowed
    with np.errstate(all="ignore"):
        return bool(np.isfinite(numbers.to_numpy().sum()))


def _span(at: pa.Array, present: datetime, skew: float) -> tuple[int, int] | None:
    if at.null_count:
        return None
    values = at.view(pa.int64()).to_numpy()
    least, most = int(values.min()), int(values.max())
    latest = (present - EPOCH + timedelta(seconds=skew)) // timedelta(microseconds=1)
    return (least, most) if least >= EARLIEST and most <= latest else None
