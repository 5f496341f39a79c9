"""Queries of views as SQL. Pure. The order is Python's: text by code point, nulls last in either direction."""

from collections.abc import Sequence
from typing import Any

from shared.log.postgres.ddl import SQL_TYPES, quoted, view_name
from shared.log.postgres.values import array_number, array_text, clean, clean_all
from shared.log.tables import Comparison, Each, Query, Table, Where


class _Parameters:
    def __init__(self, table: Table) -> None:
        self.values: list[Any] = []
        self._table = table

    def add(self, column: str, value: Any, many: bool = False) -> str:
        """The placeholder of a value of this column, with its type."""
        kind = SQL_TYPES[self._table.columns[column]]
        if not many:
            self.values.append(clean(value))
            return f"${len(self.values)}::{kind}"
        items = clean_all(kind, [item for item in value if item is not None])
        if kind in ("text", "bigint"):
            self.values.append(array_text(items) if kind == "text" else array_number(items))
            return f"${len(self.values)}::text::{kind}[]"
        self.values.append(items)
        return f"${len(self.values)}::{'text[]::' if kind == 'jsonb' else ''}{kind}[]"


def select_sql(schema: str, table: Table, query: Query) -> tuple[str, list[Any]]:
    """The statement for a query, and its parameters."""
    parameters = _Parameters(table)
    groups = _groups(parameters, query.each) if query.each is not None else ""
    conditions = [_condition(parameters, where) for where in query.where]
    if query.each is not None:
        conditions += [_term(table, f"g.c{place}", *term) for place, term in enumerate(query.each.terms)]
        conditions += [_term(table, f"h.c{place}", *term) for place, term in enumerate(query.each.either[0])]
    order = [(name.removeprefix("-"), name.startswith("-")) for name in query.order]
    order += [(name, False) for name in table.key]
    never_null = {*table.key, *(one.column for one in query.where if one.value is not None)}
    never_null |= {column for column, _ in query.each.all_terms} if query.each is not None else set()
    if query.after is not None:
        conditions.append(_behind(table, parameters, order, query.after, never_null))
    columns = ", ".join(map(quoted, query.columns or tuple(table.columns)))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    ordered = ", ".join(_direction(name, descending, name in never_null) for name, descending in order)
    source = f"{quoted(schema)}.{quoted(view_name(table.name))}"
    if not groups:
        return f"SELECT {columns} FROM {source}{where} ORDER BY {ordered} LIMIT {int(query.limit)}", parameters.values
    found = f"SELECT * FROM {source}{where} ORDER BY {ordered} LIMIT {int(query.limit)}"
    if query.apart:
        found = _apart(source, conditions, ordered, quoted(query.apart), query.limit)
    asked = f"SELECT {columns} FROM {groups}, LATERAL ({found}) AS found ORDER BY g.place, h.turn, {ordered}"
    return asked, parameters.values


def _groups(parameters: _Parameters, each: Each) -> str:
    """The groups as relations g(c0, c1, …, place) and h(c0, …, turn), the second of what is `either`."""
    arrays = [
        parameters.add(column, [group[place] for group in each.groups], many=True)
        for place, (column, _) in enumerate(each.terms)
    ]
    terms, sets = each.either
    turns = [
        [*(parameters.add(column, value) for (column, _), value in zip(terms, values, strict=True)), str(turn)]
        for turn, values in enumerate(sets)
    ]
    listed = ", ".join(f"({', '.join(turn)})" for turn in turns)
    return (
        f"unnest({', '.join(arrays)}) WITH ORDINALITY AS g({_names(each.terms)}place),"
        f" (VALUES {listed}) AS h({_names(terms)}turn)"
    )


def _apart(source: str, conditions: Sequence[str], ordered: str, column: str, limit: int) -> str:
    """The first row of each value of a column: the first of all, and each time the first behind the last one's value.
    PostgreSQL wiki, "Loose indexscan"."""
    first = f"SELECT * FROM {source} WHERE {' AND '.join(conditions)}"
    one = f"ORDER BY {ordered} LIMIT 1"
    following = f"SELECT one.* FROM step, LATERAL ({first} AND {column} > step.{column} {one}) AS one"
    return f"WITH RECURSIVE step AS (({first} {one}) UNION ALL {following}) SELECT * FROM step LIMIT {int(limit)}"


def _names(terms: Sequence[Any]) -> str:
    return "".join(f"c{place}, " for place in range(len(terms)))


def _term(table: Table, value: str, column: str, operator: Comparison) -> str:
    kind = SQL_TYPES[table.columns[column]]
    return f"{quoted(column)} {operator} {value}" + (' COLLATE "C"' if kind == "text" else "")


def get_sql(schema: str, table: Table) -> str:
    """The statement for one row by its key."""
    columns = ", ".join(map(quoted, table.columns))
    key = " AND ".join(f"{quoted(name)} = ${place}" for place, name in enumerate(table.key, 1))
    return f"SELECT {columns} FROM {quoted(schema)}.{quoted(view_name(table.name))} WHERE {key}"


def _condition(parameters: _Parameters, where: Where) -> str:
    column, operator, value = where
    name = quoted(column)
    if value is None:
        return f"{name} IS NULL" if operator == "=" else f"{name} IS NOT NULL"
    if operator == "in":
        return f"{name} = ANY({parameters.add(column, value, many=True)})"
    if operator != "prefix":
        return f"{name} {'<>' if operator == '!=' else operator} {parameters.add(column, value)}"
    start = parameters.add(column, value)
    end = _successor(clean(value))
    bound = f" AND {name} < {parameters.add(column, end)}" if end else ""
    return f"({name} >= {start}{bound})"


def _successor(prefix: str) -> str | None:
    """The first text behind all that start with `prefix`; None where there is none."""
    trimmed = prefix.rstrip("\U0010ffff")
    if not trimmed:
        return None
    following = ord(trimmed[-1]) + 1
    return trimmed[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def _direction(name: str, descending: bool, never_null: bool) -> str:
    if not descending:
        return quoted(name)  # ascending order has its nulls last anyway
    return f"{quoted(name)} DESC" + ("" if never_null else " NULLS LAST")  # which no index read backwards has


def _behind(
    table: Table, parameters: _Parameters, order: list[tuple[str, bool]], after: Sequence[Any], never_null: set[str]
) -> str:
    """That a row comes behind `after` in this order: equal in the first columns and greater in the next, for each. What
    follows from it for the first column alone is said, too: an index begins there, however far the page lies behind."""
    ascending_key = all(name in table.key and not descending for name, descending in order)
    if ascending_key and None not in after:  # a row comparison, which an index answers
        names = ", ".join(quoted(name) for name, _ in order)
        values = ", ".join(parameters.add(name, value) for (name, _), value in zip(order, after, strict=True))
        return f"({names}) > ({values})"
    first, downwards = order[0]
    bound = ""
    if after[0] is not None and first in never_null:
        bound = f"{quoted(first)} {'<=' if downwards else '>='} {parameters.add(first, after[0])} AND "
    alternatives: list[str] = []
    equal: list[str] = []
    for (name, descending), value in zip(order, after, strict=True):
        column = quoted(name)
        if value is None:  # nothing comes behind null
            equal.append(f"{column} IS NULL")
            continue
        placeholder = parameters.add(name, value)
        greater = f"{column} {'<' if descending else '>'} {placeholder}"
        later = greater if name in table.key else f"({greater} OR {column} IS NULL)"
        alternatives.append(" AND ".join([*equal, later]))
        equal.append(f"{column} = {placeholder}")
    return f"{bound}({' OR '.join(alternatives)})" if alternatives else "false"
