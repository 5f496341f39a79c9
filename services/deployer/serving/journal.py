"""Answers on their way into the log of predictions."""

import numpy as np
import pyarrow as pa

from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.parameters import Rows
from shared.events import batches
from shared.runtime.predictions import PredictionRow, Value


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


def prediction_row(frame: Frame, outputs: Columns, rows: Rows) -> PredictionRow:
    """A request of one row."""
    return PredictionRow(
        at=(rows.at[0] if rows.at else None) or rows.now,
        features=_values(frame.columns),
        output=_values(outputs),
        id=rows.ids[0] if rows.ids else None,
        entity=rows.entity[0] if rows.entity else None,
        segment=rows.segment[0] if rows.segment else None,
    )


def _values(columns: Columns) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, column in columns.items():
        value: Value = column.item(0)
        found[name] = None if value != value else value
    return found


def _array(column: np.ndarray) -> pa.Array:
    if column.dtype.kind == "O":
        return pa.array(column, pa.string())
    return pa.array(column, from_pandas=column.dtype.kind == "f")
