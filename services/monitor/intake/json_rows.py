"""JSON bodies into record batches."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from services.monitor.domain.schema import WRONG_VALUE
from services.monitor.intake.bodies import OutcomesIn, PredictionIn, check_future
from services.monitor.intake.columns import columns_of, row_values
from services.monitor.intake.faults import Faults
from shared.events import batches
from shared.events.registry import Signature
from shared.runtime.predictions import PredictionRow, times_column
from shared.runtime.problems import Problem

_OWN_ID = WRONG_VALUE, "prediction_id"
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)


def predictions(
    rows: Sequence[PredictionIn], signature: Signature, batch_id: str, present: datetime, skew: float
) -> pa.RecordBatch:
    """The rows as a batch for the log. Raises Problem 422 that names row and field of up to ten faults."""
    faults = Faults()
    columns: dict[str, pa.Array] = {}
    ids = [row.id for row in rows]
    if any(name is not None for name in ids):
        columns["prediction_id"] = pa.array(own_ids(ids, batch_id, faults), pa.string())
    columns["at"] = _times([row.at for row in rows], present, skew, "predictions")
    for name, values in (("entity", [row.entity for row in rows]), ("segment", [row.segment for row in rows])):
        if any(value is not None for value in values):
            columns[name] = pa.array(values, pa.string())
    columns |= columns_of([row.features for row in rows], signature.inputs, "features", batches.FEATURE, faults)
    columns |= columns_of([row.output for row in rows], signature.outputs, "output", batches.OUTPUT, faults)
    faults.check()
    return pa.record_batch(columns)


def single(row: PredictionIn, signature: Signature, present: datetime, skew: float) -> PredictionRow | None:
    """One valid row without the detour over columns; None where it is not valid, which `predictions` then explains."""
    features = row_values(row.features, signature.inputs)
    output = row_values(row.output, signature.outputs)
    if features is None or output is None or (row.id is not None and batches.parse_prediction_id(row.id) is not None):
        return None
    if row.at is not None and not _EARLIEST <= row.at <= present + timedelta(seconds=skew):
        return None
    return PredictionRow(row.at or present, features, output, row.id, row.entity, row.segment)


def outcomes(body: OutcomesIn, present: datetime, skew: float) -> pa.RecordBatch:
    """Outcomes as a batch for the log. Raises Problem 422."""
    rows = body.outcomes
    values = np.array([row.value for row in rows], np.float64)
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise Problem(422, "invalid-rows", f"/outcomes/{place}/value: must be finite")
    return pa.record_batch(
        {
            "prediction_id": pa.array([row.prediction_id for row in rows], pa.string()),
            "at": _times([row.at for row in rows], present, skew, "outcomes"),
            "value": pa.array(values),
        }
    )


def own_ids(ids: Sequence[str | None], batch_id: str, faults: Faults) -> list[str]:
    """The clients' own ids, with one of the server's where a row has none.

    Faults: the same id twice, or one of the form that the server gives.
    """
    seen: dict[str, int] = {}
    named: list[str] = []
    for place, name in enumerate(ids):
        if name is None:
            named.append(batches.prediction_id(batch_id, place))
            continue
        if name in seen:
            faults.add(f"/predictions/{place}/id", f"'{name}' is also the id of row {seen[name]}", *_OWN_ID)
        elif batches.parse_prediction_id(name) is not None:
            faults.add(
                f"/predictions/{place}/id", f"'{name}' has the form of an id that only the server gives", *_OWN_ID
            )
        seen[name] = place
        named.append(name)
    return named


def _times(times: Sequence[datetime | None], present: datetime, skew: float, member: str) -> Any:
    given = [at for at in times if at is not None]
    if not given:
        return pa.repeat(times_column([present])[0], len(times))
    latest = max(given)
    check_future(latest, present, skew, f"/{member}/{times.index(latest)}/at")
    if min(given) < _EARLIEST:
        raise Problem(422, "invalid-rows", f"/{member}/{times.index(min(given))}/at: lies before all time kept here")
    return times_column([at or present for at in times])
