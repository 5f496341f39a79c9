"""Arrow streams into record batches that the log may take, touched as little as they allow.

A column may come in a kindred type (float32, int32, large or dictionary-encoded text, another unit of time); it is then
turned into the log's own, and the stream written anew. What has the log's types already goes on byte for byte.
"""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.monitor.domain.schema import ABSENT, EMPTY_VALUE, UNKNOWN, WRONG_TYPE, WRONG_VALUE
from services.monitor.intake.bodies import check_future
from services.monitor.intake.faults import Faults, nearby
from services.monitor.intake.json_rows import own_ids
from shared.events import batches
from shared.events.registry import Field, Signature
from shared.runtime.predictions import times_column
from shared.runtime.problems import Problem

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
_OWN = {"double": pa.float64(), "long": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
_TEXTS = ("prediction_id", "entity", "segment")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
_LAST = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Taken:
    """A valid batch, and the bytes of its stream. `span`: its first and last time in microseconds since 1970, where
    they are known."""

    batch: pa.RecordBatch
    table: bytes
    span: tuple[int, int] | None = None


def opened(body: bytes) -> pa.RecordBatch:
    """The batch of a stream, checked to be whole inside. Raises Problem 422 `torn-arrow`."""
    try:
        batch = batches.read(body)
        batch.validate(full=True)
        for field in batch.schema:  # what is no UTF-8 shows it only when it is read
            _ = field.name, getattr(field.type, "tz", None)
    except (batches.TornBatch, pa.ArrowException, ValueError, OSError, MemoryError, OverflowError) as error:
        raise Problem(422, "torn-arrow", f"The body is no whole Arrow IPC stream: {error}") from error
    return batch


def predictions(
    body: bytes, batch: pa.RecordBatch, signature: Signature, batch_id: str, present: datetime, skew: float
) -> Taken:
    """The batch of a body, valid for this signature. Raises Problem 422 that names columns and rows."""
    faults = Faults()
    given = _columns(batch)
    columns: dict[str, Any] = {}
    for name in ("id", "prediction_id", *_TEXTS[1:]):
        if name in given:
            columns[name] = _text(given[name], name, faults)
    columns["at"] = _times(given, batch.num_rows, present, skew)
    _group(given, signature.inputs, batches.FEATURE, columns, faults)
    _group(given, signature.outputs, batches.OUTPUT, columns, faults)
    for name in given:
        if name not in columns and not name.startswith((batches.FEATURE, batches.OUTPUT)):
            faults.add(name, f"no such column is known{nearby(name, ('id', 'at', *_TEXTS))}", UNKNOWN, name)
    faults.check()
    return _taken(body, batch, given, _identified(columns, batch_id, faults))


def outcomes(body: bytes, batch: pa.RecordBatch, present: datetime, skew: float) -> Taken:
    """Outcomes by `prediction_id`, `value` and `at`. Raises Problem 422."""
    faults = Faults()
    given = _columns(batch)
    for name in ("prediction_id", "value"):
        if name not in given:
            faults.add(name, "is required and missing", ABSENT, name)
    for name in given:
        if name not in ("prediction_id", "value", "at"):
            faults.add(name, "no such column is known", UNKNOWN, name)
    faults.check()
    columns: dict[str, Any] = {"prediction_id": _text(given["prediction_id"], "prediction_id", faults)}
    columns["at"] = _times(given, batch.num_rows, present, skew)
    value = given["value"]
    if pa.types.is_boolean(value.type):
        value = value.cast(pa.float64())
    columns["value"] = _checked(value, Field(name="value", type="double"), "value", faults)
    if columns["prediction_id"].null_count:
        faults.add("prediction_id", "must not be null", EMPTY_VALUE, "prediction_id")
    faults.check()
    return _taken(body, batch, given, columns)


def _columns(batch: pa.RecordBatch) -> dict[str, Any]:
    """The columns by name, each opened once. Raises Problem 422 where two have one name."""
    names = batch.schema.names
    given = dict(zip(names, batch.columns, strict=True))
    if len(given) < len(names):
        raise Problem(422, "invalid-rows", "Two columns have the same name.")
    return given


def _taken(body: bytes, batch: pa.RecordBatch, given: dict[str, Any], columns: dict[str, Any]) -> Taken:
    """The body as it came where no column had to be changed, else written anew."""
    if len(given) == len(columns) and all(columns.get(name) is column for name, column in given.items()):
        return Taken(batch, body)
    made = pa.record_batch(columns)
    return Taken(made, batches.write(made))


def _identified(columns: dict[str, Any], batch_id: str, faults: Faults) -> dict[str, Any]:
    """`id` is the callers' word for the log's `prediction_id`."""
    if "id" in columns and "prediction_id" in columns:
        faults.add("id", "stands beside prediction_id; give one", UNKNOWN, "id")
        faults.check()
    column = columns.pop("id", columns.get("prediction_id"))
    if column is None:
        return columns
    if column.null_count == len(column):
        columns.pop("prediction_id", None)
        return columns
    named = own_ids(column.to_pylist(), batch_id, faults)
    faults.check()
    return {"prediction_id": column if not column.null_count else pa.array(named, pa.string())} | columns


def _group(
    given: dict[str, Any], fields: Sequence[Field], prefix: str, columns: dict[str, Any], faults: Faults
) -> None:
    if not fields:
        for name, column in given.items():
            if name.startswith(prefix):
                columns[name] = _free(column, name, faults)
        return
    for field in fields:
        name = prefix + field.name
        if name in given:
            columns[name] = _checked(given[name], field, name, faults)
        elif field.required:
            faults.add(name, "is required and missing", ABSENT, name)
    for name in given:
        if name.startswith(prefix) and name not in columns:
            hint = nearby(name, [prefix + field.name for field in fields])
            faults.add(name, f"the version's signature has no such name{hint}", UNKNOWN, name)


def _free(column: Any, name: str, faults: Faults) -> Any:
    """A column of a version without signature: whatever simple type it has."""
    for kind, test in (
        ("double", pa.types.is_floating),
        ("long", pa.types.is_integer),
        ("boolean", pa.types.is_boolean),
        ("string", _is_text),
    ):
        if test(column.type):
            return _checked(column, Field(name=name, type=kind, required=False), name, faults)  # type: ignore[arg-type]
    faults.add(name, f"has type {column.type}; doubles, integers, booleans and texts are known", WRONG_TYPE, name)
    return column


def _checked(column: Any, field: Field, name: str, faults: Faults) -> Any:
    """The column in the log's type for the field, its values checked."""
    cast = _cast(column, field.type)
    if cast is None:
        faults.add(name, f"must be of type {field.type}, not {column.type}", WRONG_TYPE, name)
        return column
    if field.required and cast.null_count:
        place = int(np.flatnonzero(cast.is_null().to_numpy(zero_copy_only=False))[0])
        faults.add(f"{name}/{place}", "is required and must not be null", EMPTY_VALUE, name)
    if pa.types.is_floating(cast.type) and cast.null_count != len(cast):
        return _finite(cast, field, name, faults)
    return cast


def _finite(column: Any, field: Field, name: str, faults: Faults) -> Any:
    """Doubles without infinities; NaN stands for a missing value where one may be missing."""
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(all="ignore"):  # a sum of numbers that fit may not fit
        if np.isfinite(values.sum()):
            return column
    bad = ~np.isfinite(values) & ~column.is_null().to_numpy(zero_copy_only=False)
    nan = bad & np.isnan(values)
    if not field.required:
        bad &= ~nan
    for place in np.flatnonzero(bad)[:10]:
        faults.add(f"{name}/{place}", "must be finite", WRONG_VALUE, name)
    return (
        column if not nan.any() or field.required else pc.if_else(pa.array(nan), pa.scalar(None, pa.float64()), column)
    )


def _cast(column: Any, kind: str) -> Any:
    """The column in the log's type, or None where its own type is not kindred."""
    own, wanted = column.type, _OWN[kind]
    if own == wanted or (kind == "double" and own == pa.int64()):
        return column
    if pa.types.is_null(own):
        return column.cast(wanted)
    fits = {
        "double": pa.types.is_floating(own) or pa.types.is_integer(own),
        "long": pa.types.is_integer(own),
        "boolean": False,
        "string": _is_text(own),
    }[kind]
    if not fits:
        return None
    try:
        return column.cast(pa.int64() if pa.types.is_integer(own) else wanted)
    except pa.ArrowInvalid:
        return None


def _text(column: Any, name: str, faults: Faults) -> Any:
    cast = _cast(column, "string")
    if cast is None:
        faults.add(name, f"must be text, not {column.type}", WRONG_TYPE, name)
        return column
    if not text_fits(cast):
        faults.add(name, "must have 1 to 200 characters", WRONG_VALUE, name)
    return cast


def text_fits(column: Any) -> bool:
    """Whether every text of a column has 1 to 200 characters."""
    found = pc.min_max(pc.utf8_length(column)).as_py()
    return found["min"] is None or (found["min"] > 0 and found["max"] <= 200)


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _times(given: dict[str, Any], rows: int, present: datetime, skew: float) -> Any:
    """The column `at` in the log's type; rows without a time get the present."""
    default = times_column([present])[0]
    at = given.get("at")
    if at is None or pa.types.is_null(at.type):
        return pa.repeat(default, rows)
    if not pa.types.is_timestamp(at.type) or at.type.tz is None:
        raise Problem(422, "invalid-rows", f"at: must be a timestamp with a time zone, not {at.type}.")
    if at.type != batches.TIMESTAMP:
        try:
            at = at.cast(batches.TIMESTAMP, safe=at.type.unit != "ns")
        except pa.ArrowInvalid as error:
            raise Problem(422, "invalid-rows", f"at: {error}") from error
    _check_span(at.drop_null() if at.null_count else at, present, skew)
    return pc.fill_null(at, default) if at.null_count else at


def _check_span(at: Any, present: datetime, skew: float) -> None:
    if not len(at):
        return
    values = at.view(pa.int64()).to_numpy()
    least, most = int(values.min()), int(values.max())
    if least < EARLIEST or most > _LAST:
        raise Problem(422, "invalid-rows", "at: holds a time outside the years 1 to 9998.")
    check_future(EPOCH + timedelta(microseconds=most), present, skew, f"at/{int(values.argmax())}")
