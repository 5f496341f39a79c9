"""Values of JSON rows into typed columns, a column at a time; rows are looked at one by one only where one is wrong."""

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from services.monitor.domain.schema import ABSENT, EMPTY_VALUE, UNKNOWN, WRONG_TYPE, WRONG_VALUE
from services.monitor.intake.faults import Faults, nearby
from shared.events import batches
from shared.events.registry import Field

_TYPES: dict[str, tuple[type, ...]] = {"double": (float, int), "long": (int,), "boolean": (bool,), "string": (str,)}
_NAMES = {float: "a number", int: "an integer", bool: "a boolean", str: "a text", type(None): "null"}
_ARROW = {"double": pa.float64(), "long": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
_LONG = 2**63
_ABSENT = object()
_PREFIX = {"features": batches.FEATURE, "output": batches.OUTPUT}


def columns_of(
    rows: Sequence[dict[str, Any]], fields: Sequence[Field], group: str, prefix: str, faults: Faults
) -> dict[str, pa.Array]:
    """One column per field, named with `prefix`. `group`: the member of each row that holds these values.

    Without fields (a version without a signature) the names and types are those of the rows.
    """
    fields = fields or _stated(rows, group, faults)
    if faults.found:
        return {}
    names = [field.name for field in fields]
    try:
        values = _whole(rows, names)
        present = len(rows) * len(names)
    except KeyError:
        values = [[row.get(name, _ABSENT) for row in rows] for name in names]
        present = sum(value is not _ABSENT for column in values for value in column)
    if sum(map(len, rows)) != present:
        _find_unknown(rows, names, group, faults)
    columns: dict[str, pa.Array] = {}
    for field, column in zip(fields, values, strict=True):
        if faults.full:
            break
        array = _array(column, field, group, faults)
        if array is not None:
            columns[prefix + field.name] = array
    return columns


def row_values(row: dict[str, Any], fields: Sequence[Field]) -> dict[str, Any] | None:
    """The values of one row in the types of a signature; None where one does not fit, or there is no signature. What is
    missing has no name, save for doubles, since a column of nothing has the type of doubles for the log."""
    if not fields or len(row) > len(fields):
        return None
    values: dict[str, Any] = {}
    found = 0
    for field in fields:
        value = row.get(field.name, _ABSENT)
        if value is not _ABSENT:
            found += 1
        if type(value) is float and field.type == "double" and math.isfinite(value):
            values[field.name] = value
        elif _fault(value, field) is not None:
            return None
        elif field.type == "double":
            values[field.name] = None if value is None or value is _ABSENT else float(value)
        elif value is not None and value is not _ABSENT:
            values[field.name] = value
    return values if found == len(row) else None


def _whole(rows: Sequence[dict[str, Any]], names: list[str]) -> list[Sequence[Any]]:
    """The columns where every row has every name; KeyError where one has not."""
    if not names:
        return []
    if len(names) == 1:
        return [[row[names[0]] for row in rows]]
    return list(zip(*map(itemgetter(*names), rows), strict=True))


def _find_unknown(rows: Sequence[dict[str, Any]], names: list[str], group: str, faults: Faults) -> None:
    known = set(names)
    for place, row in enumerate(rows):
        for name in row:
            if name not in known:
                hint = nearby(name, names)
                detail = f"the version's signature has no such name{hint}"
                faults.add(_pointer(place, group, name), detail, UNKNOWN, _PREFIX[group] + name)
        if faults.full:
            return


def _array(column: Sequence[Any], field: Field, group: str, faults: Faults) -> pa.Array | None:
    kinds = set(map(type, column))
    allowed = _TYPES[field.type]
    if kinds <= set(allowed):
        built = _built(column, field)
        if built is not None:
            return built
    elif not field.required and kinds <= {*allowed, type(None), object}:
        built = _with_nulls(column, field)
        if built is not None:
            return built
    _find(column, field, group, faults)
    return None


def _built(column: Sequence[Any], field: Field) -> pa.Array | None:
    """A column without nulls; None where a number does not fit."""
    try:
        if field.type == "double":
            numbers = np.array(column, np.float64)
            with np.errstate(all="ignore"):  # a sum of numbers that fit may not fit
                finite = math.isfinite(numbers.sum()) or np.isfinite(numbers).all()
            return pa.array(numbers) if finite else None
        if field.type == "long":
            return pa.array(np.array(column, np.int64))
    except OverflowError:
        return None
    return pa.array(column, _ARROW[field.type])


def _with_nulls(column: Sequence[Any], field: Field) -> pa.Array | None:
    values = [None if value is _ABSENT else value for value in column]
    present = [value for value in values if value is not None]
    if field.type in ("double", "long") and present and _built(present, field) is None:
        return None
    if field.type == "double":
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, _ARROW[field.type])


def _find(column: Sequence[Any], field: Field, group: str, faults: Faults) -> None:
    for place, value in enumerate(column):
        fault = _fault(value, field)
        if fault is not None:
            kind, detail = fault
            faults.add(_pointer(place, group, field.name), detail, kind, _PREFIX[group] + field.name)
        if faults.full:
            return


def _fault(value: Any, field: Field) -> tuple[str, str] | None:
    """Why a value does not fit a field, if it does not: the kind of fault, and in words."""
    if value is _ABSENT:
        return (ABSENT, "is required and missing") if field.required else None
    if value is None:
        return (EMPTY_VALUE, "is required and must not be null") if field.required else None
    if type(value) not in _TYPES[field.type]:
        got = _NAMES.get(type(value), "an object" if isinstance(value, dict) else "a list")
        return WRONG_TYPE, f"must be {_NAMES[_TYPES[field.type][0]]} ({field.type}), not {got}"
    if field.type == "long" and not -_LONG <= value < _LONG:
        return WRONG_VALUE, "does not fit into 64 bits"
    if field.type == "double" and not _finite(value):
        return WRONG_VALUE, "must be finite"
    return None


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _stated(rows: Sequence[dict[str, Any]], group: str, faults: Faults) -> list[Field]:
    """The fields that the rows themselves imply; every name optional, one type each."""
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(type(value))
    fields: list[Field] = []
    for name, found in kinds.items():
        found.discard(type(None))
        kind = next((kind for kind in ("long", "double", "boolean", "string") if found <= set(_TYPES[kind])), None)
        if kind is None:
            got = ", ".join(sorted(_NAMES.get(one, "an object or list") for one in found))
            detail = f"has values of several or no simple types: {got}"
            faults.add(_pointer(0, group, name), detail, WRONG_TYPE, _PREFIX[group] + name)
            continue
        fields.append(Field(name=name, type=kind, required=False))  # type: ignore[arg-type]
    return fields


def _pointer(place: int, group: str, name: str) -> str:
    return f"/predictions/{place}/{group}/{_escaped(name)}"


def _escaped(name: str) -> str:
    """A name inside a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
