"""What the values of each column are like: least, most, mean, spread and quantiles of numbers, frequent values of
categories. Read from a window's state, so that a year's profile follows from that of its hours."""

# pyright: reportUnknownMemberType=false

import math
from dataclasses import dataclass

import numpy as np

from services.monitor.domain.bins import Bins
from services.monitor.domain.categories import Categories
from services.monitor.domain.drift.numbers import Column, columns_in
from services.monitor.domain.figures import figure
from services.monitor.domain.sketch import Sketch

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Quantile:
    """The value at rank floor(share * (rows - 1)) of the sorted values lies in [`low`, `high`], to the rounding of
    doubles over their range; `value`: as if the values of its cell were spread evenly."""

    share: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Frequent:
    """A category's rows; not `exact`: at most so many, too high by at most 1.06 % of the rows without a name with 98 %
    certainty."""

    value: str
    rows: int
    exact: bool


@dataclass(frozen=True, slots=True)
class NumberProfile:
    """`deviation` is of all values, not of a sample. None: there are no values, or they leave the doubles."""

    rows: int
    missing: int
    least: float | None
    most: float | None
    mean: float | None
    deviation: float | None
    quantiles: tuple[Quantile, ...]


@dataclass(frozen=True, slots=True)
class CategoryProfile:
    """`frequent`: the most frequent values, declared by the reference or not; `unnamed`: rows of values that are not
    counted one by one."""

    rows: int
    missing: int
    named: int
    unnamed: int
    frequent: tuple[Frequent, ...]


def number_profiles(sketch: Sketch, bins: Bins) -> dict[str, NumberProfile]:
    """Of every number, features by their names and outputs as `output.NAME`."""
    found = {name: _number(column) for name, column in columns_in(sketch.features, bins)}
    return found | {f"output.{name}": _number(column) for name, column in columns_in(sketch.outputs, None)}


def category_profiles(sketch: Sketch, most: int) -> dict[str, CategoryProfile]:
    """Of every category, with so many of its values at most."""
    return {name: _category(sketch, name, one, most) for name, one in sketch.categories.items()}


def _number(column: Column) -> NumberProfile:
    rows = column.count + column.missing
    if not column.count:
        return NumberProfile(rows, column.missing, None, None, None, None, ())
    mean, deviation = column.mean_and_deviation()
    low, high = column.bounds
    return NumberProfile(rows, column.missing, low, high, _told(mean), _told(deviation), _quantiles(column))


def _quantiles(column: Column) -> tuple[Quantile, ...]:
    upto = np.cumsum(column.cells)
    lows, highs = column.cell_bounds()
    found: list[Quantile] = []
    for share in QUANTILES:
        rank = math.floor(share * (column.count - 1))
        cell = int(np.searchsorted(upto, rank, side="right"))
        low, high = float(lows[cell]), float(highs[cell])
        part = (rank - (int(upto[cell]) - int(column.cells[cell])) + 0.5) / int(column.cells[cell])
        value = min(max(figure(low * (1 - part) + high * part), low), high)
        found.append(Quantile(share, value, low, high))
    return tuple(found)


def _category(sketch: Sketch, name: str, found: Categories, most: int) -> CategoryProfile:
    exact = found.named
    told = [Frequent(value, rows, True) for value, rows in exact.items()]
    told += [Frequent(value, rows, False) for value, rows in sketch.unnamed(name).items()]
    told.sort(key=lambda one: (-one.rows, one.value))
    rows = found.known + found.missing
    return CategoryProfile(rows, found.missing, len(exact), found.other, tuple(told[:most]))


def _told(value: float) -> float | None:
    return figure(value) if math.isfinite(value) else None
