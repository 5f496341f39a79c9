"""Queries over rows in memory, answered as PostgreSQL answers them."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cmp_to_key
from typing import Any

from shared.log.tables import Query, Row, Table, Where

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, options: value in options,
    "prefix": lambda value, start: value.startswith(start),
}


def select(table: Table, rows: Any, query: Query) -> list[Row]:
    """The rows that a query asks for. Null matches no condition but `= None`; nulls come last in any order."""
    if query.each is not None:
        found: list[Row] = []
        for group in query.each.all_groups:
            terms = (Where(*term, value) for term, value in zip(query.each.all_terms, group, strict=True))
            found += _of_group(
                table, rows, replace(query, each=None, apart="", where=(*query.where, *terms)), query.apart
            )
        return found

    def matches(row: Row) -> bool:
        for column, op, wanted in query.where:
            value = row.get(column)
            if wanted is None:
                if (value is None) != (op == "="):
                    return False
            elif value is None or not _OPERATORS[op](value, wanted):
                return False
        return True

    names = [(name.removeprefix("-"), name.startswith("-")) for name in query.order]
    names += [(name, False) for name in table.key]

    def compare(left: Sequence[Any], right: Sequence[Any]) -> int:
        for (_, descending), a, b in zip(names, left, right, strict=True):
            if a == b:
                continue
            if a is None or b is None:
                return 1 if a is None else -1
            return (1 if a > b else -1) * (-1 if descending else 1)
        return 0

    keyed = [([row.get(name) for name, _ in names], row) for row in rows if matches(row)]
    if query.after is not None:
        after = list(query.after)
        keyed = [pair for pair in keyed if compare(pair[0], after) > 0]
    keyed.sort(key=cmp_to_key(lambda a, b: compare(a[0], b[0])))
    wanted = query.columns or tuple(table.columns)
    return [{name: row.get(name) for name in wanted} for _, row in keyed[: query.limit]]


def _of_group(table: Table, rows: Any, query: Query, apart: str) -> list[Row]:
    """The rows of one group; with `apart` the first of each value of this column."""
    if not apart:
        return select(table, rows, query)
    first: dict[Any, Row] = {}
    for row in select(table, rows, replace(query, limit=len(rows), columns=())):
        first.setdefault(row[apart], row)
    names = query.columns or tuple(table.columns)
    return [{name: row[name] for name in names} for row in [*first.values()][: query.limit]]
