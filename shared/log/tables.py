"""Tables of read models, declared once by each projection, and the changes that folds make to them."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

ColumnType = Literal["text", "integer", "bigint", "double", "boolean", "timestamp", "json", "bytes"]
Row = dict[str, Any]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "prefix"]


@dataclass(frozen=True, slots=True)
class Table:
    """`key`: the columns that name a row. `indexes`: further column lists that queries filter or order by.

    `work`: the rows are work in hand (leases, requests, spools, deliveries), not a view that the log gives again.

    All columns but the key may be null. Values are str, int, float, bool, datetime (UTC), JSON data or bytes.
    """

    name: str
    key: tuple[str, ...]
    columns: dict[str, ColumnType]
    indexes: tuple[tuple[str, ...], ...] = ()
    hashed: int = 0
    """In how many parts, by the hash of the key, rows are kept: many small indexes, not a vast one. 0: not in parts."""

    work: bool = False
    stays: bool = False
    """Of work in hand: a rebuild leaves the rows, since the log would not give them again."""

    def __post_init__(self) -> None:
        named = [*self.key, *(column for index in self.indexes for column in index)]
        missing = [column for column in named if column not in self.columns]
        if missing:
            raise ValueError(f"table {self.name}: key or index names unknown columns {missing}")


@dataclass(frozen=True, slots=True)
class Put:
    """Insert the row, or set just these columns of the row with the same key."""

    table: str
    row: Row


@dataclass(frozen=True, slots=True)
class Delete:
    table: str
    key: Row


@dataclass(frozen=True, slots=True)
class Insert:
    """New rows of one table, in columns: what many events come to costs little more than their bytes.

    `columns`: name → one value per row, all of one length; columns left out are null. The whole unit of work fails
    with DuplicateKey where a row with the key of one of them is there already, or comes twice.
    """

    table: str
    columns: dict[str, list[Any]]


class DuplicateKey(ValueError):
    """Rows said to be new are there already."""


Change = Put | Delete | Insert


class Where(NamedTuple):
    column: str
    operator: Operator
    value: Any


Comparison = Literal["=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Each:
    """Groups that one query asks about in turn. `terms`: columns of the table with how each compares; `groups`: for
    every group a value per term, none of them null. `either`: further terms, and the few sets of values with each of
    which every group is asked in turn: as if all groups were there once for each, but said once."""

    terms: tuple[tuple[str, Comparison], ...]
    groups: tuple[tuple[Any, ...], ...]
    either: tuple[tuple[tuple[str, Comparison], ...], tuple[tuple[Any, ...], ...]] = ((), ((),))

    @property
    def all_terms(self) -> tuple[tuple[str, Comparison], ...]:
        return (*self.terms, *self.either[0])

    @property
    def all_groups(self) -> tuple[tuple[Any, ...], ...]:
        """A value for each of `all_terms`."""
        return tuple((*group, *further) for group in self.groups for further in self.either[1])


@dataclass(frozen=True, slots=True)
class Query:
    """Rows of one table. `order`: column names, a leading `-` for descending; the key breaks ties.

    `after`: the values of the order columns and then the key of the last row seen (keyset paging).
    `each`: ask once for every group, the limit and the order holding within it, and answer the groups' rows one after
    another: the newest row of each of a hundred things is a hundred steps down an index. Not to be paged.
    `apart`: a column that is never null and that `order` begins with, ascending: of each of its values within a group
    only the first row is answered, one step down an index for each, however many rows bear it.
    """

    table: str
    where: tuple[Where, ...] = ()
    order: tuple[str, ...] = ()
    limit: int = 100
    after: tuple[Any, ...] | None = None
    columns: tuple[str, ...] = field(default=())
    each: Each | None = None
    apart: str = ""

    def __post_init__(self) -> None:
        if self.apart and (self.each is None or self.order[:1] != (self.apart,) or self.after is not None):
            raise ValueError(f"{self.apart} is told apart only within groups, in its order, from the first")


def cursor_of(table: Table, query: Query, row: Row) -> tuple[Any, ...]:
    """The `after` that continues a query behind this row."""
    return tuple(row[name.removeprefix("-")] for name in query.order) + tuple(row[name] for name in table.key)


def equal(**columns: Any) -> tuple[Where, ...]:
    """Conditions that each column equals its value."""
    return tuple(Where(name, "=", value) for name, value in columns.items())


def enough(count: int) -> int:
    """A limit of at least so many rows: a power of two, so that few statements are ever prepared."""
    return 1 << max(count - 1, 0).bit_length()
