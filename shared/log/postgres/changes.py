"""Changes of views, folded per row and grouped, so that few statements write many rows. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.log.postgres.ddl import SQL_TYPES, quoted, view_name
from shared.log.postgres.values import clean, json_text
from shared.log.tables import ColumnType, Delete, Insert, Put, Row, Table

Key = tuple[Any, ...]


class _Rows:
    """What a batch of changes comes to for each row of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.puts: dict[Key, Row] = {}
        self.deletes: set[Key] = set()
        self._checked: set[tuple[str, ...]] = set()

    def add(self, change: Put | Delete) -> None:
        given = change.row if isinstance(change, Put) else change.key
        key = self._key(given)
        if isinstance(change, Delete):
            self.puts.pop(key, None)
            self.deletes.add(key)
        elif key in self.puts:
            self.puts[key].update(change.row)
        elif key in self.deletes:  # a new row: columns that it does not name are null, whatever they were
            self.deletes.remove(key)
            self.puts[key] = {**dict.fromkeys(self.table.columns), **change.row}
        else:
            self.puts[key] = dict(change.row)

    def _key(self, given: Row) -> Key:
        key = tuple(clean(given.get(name)) for name in self.table.key)
        names = tuple(given)
        if names not in self._checked:
            unknown = [name for name in names if name not in self.table.columns]
            if unknown:
                raise ValueError(f"change of {self.table.name}: unknown columns {unknown}")
            self._checked.add(names)
        if None in key:
            raise ValueError(f"change of {self.table.name}: key columns without value in {given}")
        return key


def statements(
    schema: str, tables: dict[str, Table], changes: Sequence[Put | Delete]
) -> Iterator[tuple[str, list[Any]]]:
    """The statements, with their parameters, that make these changes in order.

    Several changes of one row come to one. Rows are written in the order of their keys, so that two writers of the same
    rows wait for each other instead of locking each other out. Raises ValueError for unknown columns or a missing key.
    """
    changed: dict[str, _Rows] = {}
    for change in changes:
        if change.table not in changed:
            changed[change.table] = _Rows(tables[change.table])
        changed[change.table].add(change)
    for name in sorted(changed):
        rows = changed[name]
        if rows.deletes:
            yield _delete(schema, rows.table, sorted(rows.deletes))
        groups: dict[tuple[str, ...], list[Row]] = {}
        for key in sorted(rows.puts):
            row = rows.puts[key]
            groups.setdefault(tuple(column for column in rows.table.columns if column in row), []).append(row)
        for columns, group in groups.items():
            yield _upsert(schema, rows.table, columns, group)


def records(table: Table, insert: Insert) -> Iterator[tuple[Any, ...]]:
    """New rows as COPY takes them. Raises ValueError for unknown columns, missing keys, columns of several lengths."""
    unknown = [name for name in insert.columns if name not in table.columns]
    missing = [name for name in table.key if None in insert.columns.get(name, [None])]
    if unknown or missing:
        raise ValueError(f"insert into {table.name}: unknown columns {unknown}, key columns without value {missing}")
    return zip(*(_copied(table.columns[name], values) for name, values in insert.columns.items()), strict=True)


def _copied(kind: ColumnType, values: list[Any]) -> list[Any]:
    if kind == "text":
        return list(map(clean, values)) if "\x00" in "".join(filter(None, values)) else values
    if kind in ("integer", "bigint"):
        numbers = [value for value in values if value is not None]
        within = not numbers or (min(numbers) >= -(2**63) and max(numbers) < 2**63)
        return values if within else list(map(clean, values))
    return values


def _upsert(schema: str, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> tuple[str, list[Any]]:
    names = ", ".join(map(quoted, columns))
    values = [column for column in columns if column not in table.key]
    setting = ", ".join(f"{quoted(column)} = excluded.{quoted(column)}" for column in values)
    action = f"UPDATE SET {setting}" if setting else "NOTHING"
    sql = (
        f"INSERT INTO {_name(schema, table)} ({names}) SELECT * FROM {_arrays(table, columns)}"
        f" ON CONFLICT ({', '.join(map(quoted, table.key))}) DO {action}"
    )
    return sql, [_kept(table.columns[column], [row[column] for row in rows]) for column in columns]


def _delete(schema: str, table: Table, keys: Sequence[Key]) -> tuple[str, list[Any]]:
    names = ", ".join(map(quoted, table.key))
    sql = f"DELETE FROM {_name(schema, table)} WHERE ({names}) IN (SELECT * FROM {_arrays(table, table.key)})"
    return sql, [
        _kept(table.columns[column], list(values))
        for column, values in zip(table.key, zip(*keys, strict=True), strict=True)
    ]


def _name(schema: str, table: Table) -> str:
    return f"{quoted(schema)}.{quoted(view_name(table.name))}"


def _arrays(table: Table, columns: Sequence[str]) -> str:
    """Parameters, one array per column, as rows."""
    kinds = [SQL_TYPES[table.columns[column]] for column in columns]
    arrays = ", ".join(
        f"${place}::{'text[]::' if kind == 'jsonb' else ''}{kind}[]" for place, kind in enumerate(kinds, 1)
    )
    return f"unnest({arrays})"


def _kept(kind: ColumnType, values: list[Any]) -> list[Any]:
    if kind == "json":
        return list(map(json_text, values))
    return list(map(clean, values)) if kind == "text" else values
