"""Answers on their way into the log of predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.parameters import Rows
from shared.events import batches
from shared.runtime.predictions import Fallback, PredictionRow, Target, Value, times_column

_KINDS = {"f": np.float64, "i": np.int64, "b": np.bool_}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What lines share that fit into one batch: who answered, and the names and kinds (of a dtype: f, i, b, O) of their
    values. Compared by identity, since that is asked for every line: keep it."""

    target: Target
    features: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    fallback: Fallback = ""


class Line(NamedTuple):
    """One prediction; values in the order of its shape, None or NaN for a missing number."""

    at: datetime
    features: Sequence[Value]
    outputs: Sequence[Value]
    id: str | None = None
    entity: str | None = None
    segment: str | None = None


def shape_of(target: Target, frame: Frame, outputs: Columns, fallback: Fallback = "") -> Shape:
    """The shape of these columns."""
    features, found = (
        [(name, one.dtype.kind) for name, one in columns.items()] for columns in (frame.columns, outputs)
    )
    return Shape(target, tuple(features), tuple(found), fallback)


def batch_of(shape: Shape, lines: Sequence[Line]) -> pa.RecordBatch:
    """Lines of one shape as a batch of `batches.PREDICTIONS`; either all have ids of their own, or none."""
    at, features, outputs, ids, entities, segments = zip(*lines, strict=True)
    columns: dict[str, pa.Array] = {}
    if ids[0] is not None:
        columns["prediction_id"] = pa.array(ids, pa.string())
    columns["at"] = times_column(at)
    for name, values in (("entity", entities), ("segment", segments)):
        if any(value is not None for value in values):
            columns[name] = pa.array(values, pa.string())
    for prefix, kinds, rows in ((batches.FEATURE, shape.features, features), (batches.OUTPUT, shape.outputs, outputs)):
        for (name, kind), values in zip(kinds, zip(*rows, strict=True), strict=True):
            columns[prefix + name] = _values_array(kind, values)
    return pa.record_batch(columns)


def _values_array(kind: str, values: Sequence[Value]) -> pa.Array:
    if kind == "O":
        return pa.array(values, pa.string())
    return pa.array(np.array(values, _KINDS[kind]), from_pandas=kind == "f")


def record_batch(
    frame: Frame, outputs: Columns, rows: Rows, places: np.ndarray, shadow_of: list[str] | None = None
) -> pa.RecordBatch:
    """The frame's rows, being those at `places` of the request, as a batch of `batches.PREDICTIONS`; NaN is null,
    and rows without a time are left for the writer to date.

    `shadow_of`: of a shadow's rows the predictions that answered; the caller's own ids are then left out, since an id
    names one prediction.
    """
    own = rows.ids if shadow_of is None else None
    told = {"prediction_id": own, "at": rows.at, "entity": rows.entity, "segment": rows.segment}
    told[batches.SHADOW_OF] = shadow_of
    columns: dict[str, pa.Array] = {}
    for name, values in told.items():
        if values is not None:
            kind = batches.TIMESTAMP if name == "at" else pa.string()
            columns[name] = pa.array([values[place] for place in places.tolist()], kind)
    for prefix, named in ((batches.FEATURE, frame.columns), (batches.OUTPUT, outputs)):
        for name, column in named.items():
            columns[prefix + name] = _array(column)
    return pa.record_batch(columns)


def line_of(frame: Frame, outputs: Columns, rows: Rows) -> Line:
    """A request of one row."""
    return Line(
        (rows.at[0] if rows.at else None) or rows.now,
        [column.item(0) for column in frame.columns.values()],
        [column.item(0) for column in outputs.values()],
        rows.ids[0] if rows.ids else None,
        rows.entity[0] if rows.entity else None,
        rows.segment[0] if rows.segment else None,
    )


def prediction_row(shape: Shape, line: Line) -> PredictionRow:
    """The same for the writer, by names."""
    return PredictionRow(
        at=line.at,
        features=_named(shape.features, line.features),
        output=_named(shape.outputs, line.outputs),
        id=line.id,
        entity=line.entity,
        segment=line.segment,
    )


def _named(kinds: Sequence[tuple[str, str]], values: Sequence[Value]) -> dict[str, Value]:
    return {name: None if value != value else value for (name, _), value in zip(kinds, values, strict=True)}


def _array(column: np.ndarray) -> pa.Array:
    if column.dtype.kind == "O":
        return pa.array(column, pa.string())
    return pa.array(column, from_pandas=column.dtype.kind == "f")
