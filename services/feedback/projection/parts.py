"""The rows of a flag on many predictions, batch by batch."""

# pyright: basic, reportAttributeAccessIssue=false
# pyarrow ships no types

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from shared.events import batches
from shared.events.feedback import PredictionsFlagged
from shared.log.tables import Put, Row

DETAILS = ("prediction_id", "expected")


def parts_of(many: PredictionsFlagged, table: bytes) -> list[Put]:
    """One row of `flagged` for each batch that the event names."""
    rows = batches.read(table)
    return [Put("flagged", _row(many, rows, batch, places)) for batch, places in by_batch(rows)]


def by_batch(rows: pa.RecordBatch) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """(batch, places of its rows in the table, in the order of its rows)."""
    column = rows.column("batch")
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes, row = coded.indices.to_numpy(), rows.column("row").to_numpy()
    order = np.lexsort((row, codes))
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    for places in np.split(order, starts):
        if len(places):
            yield coded.dictionary[int(codes[places[0]])].as_py(), places


def rows_of(stored: bytes) -> NDArray[np.int32]:
    """The rows of a batch as `flagged` keeps them."""
    return np.frombuffer(stored, "<i4")


def _row(many: PredictionsFlagged, rows: pa.RecordBatch, batch: str, places: NDArray[np.int64]) -> Row:
    row = rows.column("row").to_numpy()[places].astype("<i4")
    return {
        "flag": many.flag,
        "batch": batch,
        "part": many.part,
        "deployment": many.deployment,
        "version": many.version,
        "count": len(row),
        "rows": row.tobytes(),
        "details": _details(rows, row, places),
    }


def _details(rows: pa.RecordBatch, row: NDArray[np.int32], places: NDArray[np.int64]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for name in DETAILS:
        if name in rows.schema.names:
            values = rows.column(name).take(pa.array(places)).to_pylist()
            said = {str(at): value for at, value in zip(row.tolist(), values, strict=True) if value is not None}
            if name == "expected":
                said = {at: orjson.loads(value) for at, value in said.items()}
            if said:
                found[name] = said
    return found or None
