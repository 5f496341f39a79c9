"""The state of a window: what adds up, whatever the order and the parts it is counted in.

`merge` is associative and commutative with `EMPTY` as its unit, exactly: one set of predictions and outcomes gives one
state, to the bit. Everything is a count, an exact sum, a least or a most, or the lowest of some hashes.
"""

# pyright: reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain.categories import Categories, merge_categories
from services.monitor.domain.grid import CELLS, Floats, Ints
from services.monitor.domain.joined import Joined, merge_joined, no_joined
from services.monitor.domain.rows import Rows, merge_rows, no_rows

__all__ = ["EMPTY", "Floats", "Ints", "Numbers", "Sketch", "merge", "no_numbers"]

Whole = NDArray[np.object_]
"""Whole numbers without limit."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numeric columns by `names`, each counted in the cells of its grid.

    `missing` [n]; `outside` [n]: values beyond the reference's own range; `cells` [n, CELLS]; `low` and `high` [n]: the
    least and the most, infinite without values; `sums` [n, 2]: of positions and their squares (see `sums`).
    """

    names: tuple[str, ...]
    missing: Ints
    outside: Ints
    cells: Ints
    low: Floats
    high: Floats
    sums: Whole

    def at(self, places: Sequence[int]) -> "Numbers":
        """Some of the columns, in the order of their places."""
        chosen = np.array(places, np.int64)
        return Numbers(
            tuple(self.names[place] for place in places),
            self.missing[chosen],
            self.outside[chosen],
            self.cells[chosen],
            self.low[chosen],
            self.high[chosen],
            self.sums[chosen],
        )


@dataclass(frozen=True, slots=True)
class Sketch:
    """A window's state. `faults`: rows by what the signature says against them, `KIND:COLUMN`; `limit`: values that are
    not declared counted by name per column."""

    predictions: int
    features: Numbers
    categories: Mapping[str, Categories]
    outputs: Numbers
    joined: Joined
    limit: int = 1_000
    rows: Rows = field(default_factory=no_rows)
    faults: Mapping[str, int] = field(default_factory=dict[str, int])

    def unnamed(self, name: str) -> dict[str, int]:
        """Values of a category that its sample holds and that are not counted one by one, with the most rows that each
        can have."""
        found = self.categories[name]
        if not found.other or name not in self.rows.text_names:
            return {}
        column = self.rows.texts[:, self.rows.text_names.index(name)].tolist()
        return {value: found.estimate(value) for value in set(column) - found.named.keys() if value is not None}


def no_numbers(names: Sequence[str] = ()) -> Numbers:
    """These columns without values."""
    count = len(names)
    sums: Any = np.zeros((count, 2), object)
    return Numbers(
        tuple(names),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros((count, CELLS), np.int64),
        np.full(count, np.inf),
        np.full(count, -np.inf),
        sums,
    )


EMPTY = Sketch(0, no_numbers(), {}, no_numbers(), no_joined())


def merge(left: Sketch, right: Sketch) -> Sketch:
    """The state of both windows together."""
    limit = min(left.limit, right.limit)
    return Sketch(
        left.predictions + right.predictions,
        merge_numbers(left.features, right.features),
        merge_categories(left.categories, right.categories, limit),
        merge_numbers(left.outputs, right.outputs),
        merge_joined(left.joined, right.joined),
        limit,
        merge_rows(left.rows, right.rows),
        _added(left.faults, right.faults),
    )


def merge_numbers(left: Numbers, right: Numbers) -> Numbers:
    """Columns that only one side has stay as they are."""
    if not left.names:
        return right
    if not right.names:
        return left
    names = left.names
    if left.names != right.names:
        names = tuple(sorted({*left.names, *right.names}))
        left, right = _spread(left, names), _spread(right, names)
    return Numbers(
        names,
        left.missing + right.missing,
        left.outside + right.outside,
        left.cells + right.cells,
        np.minimum(left.low, right.low),
        np.maximum(left.high, right.high),
        left.sums + right.sums,
    )


def _spread(numbers: Numbers, names: tuple[str, ...]) -> Numbers:
    places = [names.index(name) for name in numbers.names]
    spread = no_numbers(names)
    spread.missing[places], spread.outside[places], spread.cells[places] = (
        numbers.missing,
        numbers.outside,
        numbers.cells,
    )
    spread.low[places], spread.high[places], spread.sums[places] = numbers.low, numbers.high, numbers.sums
    return spread


def _added(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    if not right:
        return left
    return {name: left.get(name, 0) + right.get(name, 0) for name in sorted({*left, *right})}
