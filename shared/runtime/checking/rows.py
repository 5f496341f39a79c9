"""Rows as bytes that are equal where the rows are, digests of them, and where two differ. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from shared.log.tables import ColumnType, Row

MODULUS = 2**256
SHOWN = 120
"""Bytes or characters of a long value that a difference shows, around the place where it begins."""

Cells = dict[str, bytes]
"""The values of a row by column, as bytes."""


def cell(kind: ColumnType, value: Any) -> bytes:
    """One value: null, NaN and -0.0 are values like any other; of JSON the order of its names does not count."""
    if value is None:
        return b""
    match kind:
        case "double":
            return b"=" + repr(float(value)).encode()
        case "bytes":
            return b"=" + bytes(value)
        case "json":
            return b"=" + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        case "timestamp":
            return b"=" + _utc(value).isoformat().encode()
        case _:
            return b"=" + str(value).encode("utf-8", "surrogatepass")


def cells(columns: Mapping[str, ColumnType], row: Row) -> Cells:
    """A row's values, column by column."""
    return {name: cell(kind, row.get(name)) for name, kind in columns.items()}


def digest(table: str, row: Cells) -> int:
    """A row as a number: SHA-256 over the table's name and each value, each behind its length."""
    hashed = sha256()
    for part in (table.encode(), *row.values()):
        hashed.update(len(part).to_bytes(8, "big") + part)
    return int.from_bytes(hashed.digest(), "big")


def first_column(one: Cells, other: Cells) -> str | None:
    """The first column of both in which two rows differ."""
    return next((name for name in one if name in other and one[name] != other[name]), None)


def shown(kind: ColumnType, value: Any, beside: Any) -> Any:
    """A value for people and JSON; of a long one the part where it first differs from the one beside it."""
    if value is None or kind in ("integer", "bigint", "boolean"):
        return value
    if kind == "double":
        return value if value - value == 0 else str(value)  # neither NaN nor infinite, which JSON lacks
    whole, other = _readable(kind, value), _readable(kind, beside)
    if len(whole) <= SHOWN:
        return whole.hex() if isinstance(whole, bytes) else whole
    place = _first_unlike(whole, other)
    start = max(0, place - SHOWN // 4)
    part = whole[start : start + SHOWN]
    unit = "bytes" if isinstance(part, bytes) else "characters"
    text = part.hex() if isinstance(part, bytes) else part
    return f"…{text}… ({len(whole)} {unit}, the first difference at {place})"


def _readable(kind: ColumnType, value: Any) -> bytes | str:
    if value is None:
        return b"" if kind == "bytes" else ""
    data = cell(kind, value)[1:]
    return data if kind == "bytes" else data.decode("utf-8", "replace")


def _first_unlike(one: Sequence[Any], other: Sequence[Any]) -> int:
    pairs = zip(one, other, strict=False)
    return next((place for place, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
