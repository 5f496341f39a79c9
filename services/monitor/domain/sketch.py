"""The state of a window: counts and moments that add up, whatever the order and the parts they are counted in.

`merge` is associative and commutative with `EMPTY` as its unit: exactly for everything counted, to the last bits of a
double for sums of values. Counts are int64, moments float64.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOMENTS = ("count", "sum", "squares", "min", "max")
SCORE_CELLS = 1_001
BINARY = ("cases", "brier", "log_loss")
ERRORS = ("cases", "error", "absolute", "squared", "outcome", "outcome_squared")
UNIT = 2.0**32
"""Brier and log loss terms are added as whole multiples of 1/UNIT, so that their sums do not depend on the order."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numeric columns by `names`: `missing` [n], `moments` [n, 5] in the order of MOMENTS, `cells` [n, cells]."""

    names: tuple[str, ...]
    missing: Ints
    moments: Floats
    cells: Ints


@dataclass(frozen=True, slots=True)
class Categories:
    """Counts of one categorical column. `other` holds what is neither missing nor counted by itself."""

    counts: Mapping[str, int]
    other: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """Outcomes against the output columns `names`.

    `outcomes`: how many predictions have one. `cells` [n, 2, 1001]: binary outcomes (0, 1) by the thousandth their
    score lies in (cell k: k/1000 <= score < (k+1)/1000). `binary` [n, 3]: see BINARY, sums in 1/UNIT. `errors` [n, 6]:
    score minus outcome, of all outcomes whose score is known.
    """

    outcomes: int
    names: tuple[str, ...]
    cells: Ints
    binary: Ints
    errors: Floats


@dataclass(frozen=True, slots=True)
class Sketch:
    """A window's state."""

    predictions: int
    features: Numbers
    categories: Mapping[str, Categories]
    outputs: Numbers
    joined: Joined
    limit: int = field(default=1_000)


def no_numbers(cells: int) -> Numbers:
    """Numbers of no column, with so many cells each."""
    return Numbers((), np.zeros(0, np.int64), np.zeros((0, 5)), np.zeros((0, cells), np.int64))


def no_joined() -> Joined:
    """No outcome against no column."""
    return Joined(
        0, (), np.zeros((0, 2, SCORE_CELLS), np.int64), np.zeros((0, len(BINARY)), np.int64), np.zeros((0, len(ERRORS)))
    )


EMPTY = Sketch(0, no_numbers(258), {}, no_numbers(0), no_joined())


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
    moments = left.moments + right.moments
    np.minimum(left.moments[:, 3], right.moments[:, 3], out=moments[:, 3])
    np.maximum(left.moments[:, 4], right.moments[:, 4], out=moments[:, 4])
    return Numbers(names, left.missing + right.missing, moments, left.cells + right.cells)


def merge_categories(
    left: Mapping[str, Categories], right: Mapping[str, Categories], limit: int
) -> dict[str, Categories]:
    """Counts added, column by column."""
    merged = dict(left)
    for name, more in right.items():
        have = merged.get(name)
        if have is None:
            merged[name] = limited(more, limit)
            continue
        counts = dict(have.counts)
        for value, count in more.counts.items():
            counts[value] = counts.get(value, 0) + count
        merged[name] = limited(Categories(counts, have.other + more.other, have.missing + more.missing), limit)
    return merged


def limited(categories: Categories, limit: int) -> Categories:
    """At most `limit` values: those of the lowest CRC-32, a choice that no order of merging can change."""
    if len(categories.counts) <= limit:
        return categories
    ranked = sorted(categories.counts.items(), key=lambda pair: (crc32(pair[0].encode()), pair[0]))
    rest = sum(count for _, count in ranked[limit:])
    return Categories(dict(ranked[:limit]), categories.other + rest, categories.missing)


def merge_joined(left: Joined, right: Joined) -> Joined:
    """Columns that only one side has stay as they are."""
    outcomes = left.outcomes + right.outcomes
    if not left.names or not right.names:
        some = left if left.names else right
        return Joined(outcomes, some.names, some.cells, some.binary, some.errors)
    names = left.names
    if left.names != right.names:
        names = tuple(sorted({*left.names, *right.names}))
        left, right = _spread_joined(left, names), _spread_joined(right, names)
    return Joined(outcomes, names, left.cells + right.cells, left.binary + right.binary, left.errors + right.errors)


def no_moments(columns: int) -> Floats:
    """The moments of columns without values."""
    moments = np.zeros((columns, len(MOMENTS)))
    moments[:, 3], moments[:, 4] = np.inf, -np.inf
    return moments


def _spread(numbers: Numbers, names: tuple[str, ...]) -> Numbers:
    places = [names.index(name) for name in numbers.names]
    missing = np.zeros(len(names), np.int64)
    moments = no_moments(len(names))
    cells = np.zeros((len(names), numbers.cells.shape[1]), np.int64)
    missing[places], moments[places], cells[places] = numbers.missing, numbers.moments, numbers.cells
    return Numbers(names, missing, moments, cells)


def _spread_joined(joined: Joined, names: tuple[str, ...]) -> Joined:
    places = [names.index(name) for name in joined.names]
    cells = np.zeros((len(names), *joined.cells.shape[1:]), np.int64)
    binary = np.zeros((len(names), len(BINARY)), np.int64)
    errors = np.zeros((len(names), len(ERRORS)))
    cells[places], binary[places], errors[places] = joined.cells, joined.binary, joined.errors
    return Joined(joined.outcomes, names, cells, binary, errors)
