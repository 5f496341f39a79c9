"""Which rows of a batch of predictions meet conditions: those of a query, of a slice, of a row of a decision table."""

# pyright: basic, reportAttributeAccessIssue=false
# pyarrow ships no types

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.events import batches
from shared.events.feedback import Condition, PredictionQuery
from shared.events.plain import not_plain
from shared.events.refusal import Refused

MAX_CONDITIONS = 50
MAX_IN = 1_000
_OWN = ("segment", "entity", "prediction_id")
_COMPARE = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def check(where: Sequence[Condition]) -> None:
    """Raises Refused 422 `bad-condition` on what no prediction could be asked for."""
    if len(where) > MAX_CONDITIONS:
        raise _bad(f"There are {len(where)} conditions, more than {MAX_CONDITIONS}.")
    for one in where:
        if not one.column.startswith((batches.FEATURE, batches.OUTPUT)) and one.column not in _OWN:
            raise _bad(f"'{one.column}' is no column: name feature.NAME, output.NAME, {', '.join(_OWN)}.")
        if reason := not_plain(one.value, f"the value for {one.column}"):
            raise _bad(f"{reason[0].upper()}{reason[1:]}.")
        if one.op == "missing":
            if not isinstance(one.value, bool):
                raise _bad(f"'missing' of {one.column} takes true or false.")
        elif one.op == "in":
            if not isinstance(one.value, list | tuple) or not 0 < len(one.value) <= MAX_IN:
                raise _bad(f"'in' of {one.column} takes a list of 1 to {MAX_IN} values.")
            if not all(map(_plain, one.value)):
                raise _bad(f"'in' of {one.column} takes numbers, texts or truths.")
        elif not _plain(one.value):
            raise _bad(f"{one.column} {one.op} takes a number, a text or a truth.")


def meets(table: pa.RecordBatch, where: Sequence[Condition]) -> NDArray[np.bool_]:
    """Of each row whether it meets all conditions. A value that is missing meets none but `missing`; nor does one of a
    column that the batch does not have, or of another type than the condition's value."""
    found = np.ones(table.num_rows, np.bool_)
    for one in where:
        found &= _one(table, one)
    return found


def wanted(table: pa.RecordBatch, query: PredictionQuery) -> NDArray[np.bool_]:
    """Of each row whether the query asks for it; deployment and version are the batch's own and not looked at."""
    found = meets(table, query.where)
    at = table.column("at")
    if query.since is not None:
        found &= _truths(pc.greater_equal(at, pa.scalar(query.since, batches.TIMESTAMP)))
    if query.until is not None:
        found &= _truths(pc.less(at, pa.scalar(query.until, batches.TIMESTAMP)))
    return found


def _one(table: pa.RecordBatch, one: Condition) -> NDArray[np.bool_]:
    if one.column not in table.schema.names:
        return np.full(table.num_rows, one.op == "missing" and one.value is True)
    column = table.column(one.column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if one.op == "missing":
        return _truths(pc.is_null(column, nan_is_null=True)) == bool(one.value)
    try:
        if one.op == "in":
            return _is_in(column, one.value)
        return _truths(_COMPARE[one.op](column, pa.scalar(one.value)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OverflowError):
        return np.zeros(table.num_rows, np.bool_)


def _is_in(column: Any, values: Sequence[Any]) -> NDArray[np.bool_]:
    """Whether each is one of these; values of another type than the column's are none of it."""
    if pa.types.is_boolean(column.type):
        meant: list[Any] = [value for value in values if isinstance(value, bool)]
    elif pa.types.is_integer(column.type):
        meant = [int(value) for value in _numbers(values) if value == int(value)]
    elif pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        column, meant = column.cast(pa.float64()), [float(value) for value in _numbers(values)]
    else:
        meant = [value for value in values if isinstance(value, str)]
    held = [value for value in meant if _holds(column.type, value)]
    return _truths(pc.is_in(column, pa.array(held, column.type)))


def _numbers(values: Sequence[Any]) -> list[int | float]:
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def _holds(kind: pa.DataType, value: Any) -> bool:
    """Whether a column of this type can hold the value at all, such as 300 in eight bits."""
    try:
        pa.scalar(value, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return False
    return True


def _truths(column: Any) -> NDArray[np.bool_]:
    return pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype(np.bool_)


def _plain(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)


def _bad(detail: str) -> Refused:
    return Refused("bad-condition", detail, status=422)
