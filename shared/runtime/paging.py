"""Paging by the key of the last row seen, behind an opaque cursor."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from shared.log.tables import ColumnType, Query, Row, Table, cursor_of
from shared.runtime.problems import Problem
from shared.runtime.service import Service

MAX_CURSOR = 4_000
_PYTHON: dict[ColumnType, type | tuple[type, ...]] = {
    "text": str,
    "integer": int,
    "bigint": int,
    "double": (int, float),
    "boolean": bool,
    "timestamp": str,
}


async def page(
    service: Service, query: Query, cursor: str | None, item: Callable[[Row], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """`{"items": [...], "next": cursor or null}` of a query; the cursor is opaque. Raises Problem 422 on a bad cursor.

    At most `max_page` items, whatever the query's limit.
    """
    table = service.store.tables[query.table]
    size = max(1, min(query.limit, service.settings.max_page))
    after = cursor_values(table, query, cursor) if cursor else query.after
    rows = await service.store.find(replace(query, limit=size + 1, after=after, columns=_wanted(table, query)))
    shown = rows[:size]
    following = cursor_text(table, query, shown[-1]) if len(rows) > size else None
    return {"items": [_item(query, row, item) for row in shown], "next": following}


def _wanted(table: Table, query: Query) -> tuple[str, ...]:
    """The columns asked for, and those that the cursor needs."""
    if not query.columns:
        return ()
    needed = [name.removeprefix("-") for name in query.order] + list(table.key)
    return tuple(dict.fromkeys([*query.columns, *needed]))


def _item(query: Query, row: Row, item: Callable[[Row], dict[str, Any]] | None) -> dict[str, Any]:
    if item is not None:
        return item(row)
    return {name: row[name] for name in query.columns} if query.columns else row


def _signature(query: Query) -> str:
    return hashlib.sha256(repr((query.table, query.order)).encode()).hexdigest()[:8]


def cursor_text(table: Table, query: Query, row: Row) -> str:
    """The cursor of the page that begins behind this row."""
    values = [_signature(query), *cursor_of(table, query, row)]
    return urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def cursor_values(table: Table, query: Query, cursor: str) -> tuple[Any, ...]:
    """The query's `after` out of a cursor. Raises Problem 422 on a bad one."""
    bad = bad_cursor()
    names = [name.removeprefix("-") for name in query.order] + list(table.key)
    if len(cursor) > MAX_CURSOR:
        raise bad
    try:
        signature, *values = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if signature != _signature(query) or len(values) != len(names):
            raise bad
        return tuple(_value(table.columns[name], value) for name, value in zip(names, values, strict=True))
    except (ValueError, TypeError) as error:
        raise bad from error


def bad_cursor() -> Problem:
    return Problem(422, "bad-cursor", "The cursor is not one that this list gave.", "Start again without a cursor.")


def _value(kind: ColumnType, value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise TypeError(f"no {kind}")
    return datetime.fromisoformat(str(value)) if kind == "timestamp" else value
