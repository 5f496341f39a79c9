"""Drift of a number, from its counts in cells."""

# pyright: reportUnknownMemberType=false

import math
from dataclasses import dataclass, replace

import numpy as np

from services.monitor.domain.bins import Bins
from services.monitor.domain.drift.found import FeatureDrift, Side, compared
from services.monitor.domain.figures import figure
from services.monitor.domain.grid import INNER, LARGEST, OPEN, TAIL, UNIT_INTERVAL, Floats, Grid
from services.monitor.domain.sketch import Numbers
from services.monitor.domain.statistics import (
    Counts,
    Cumulated,
    chi_square,
    kolmogorov_p,
    kolmogorov_smirnov,
    wasserstein,
)
from services.monitor.domain.sums import mean_and_deviation

_SINGLE = slice(TAIL - 4, TAIL + INNER + 4)
"""The cells as wide as inner ones."""

GROUPS = 10
"""Groups of about equal parts of the base, in which numbers' PSI, Jensen-Shannon distance and chi-square are taken."""


@dataclass(frozen=True, slots=True)
class Column:
    """One side of a number. `single`: its values are whole and each inner cell holds one of them."""

    numbers: Numbers
    place: int
    grid: Grid
    single: bool

    @property
    def cells(self) -> Counts:
        return self.numbers.cells[self.place]

    @property
    def missing(self) -> int:
        return int(self.numbers.missing[self.place])

    @property
    def count(self) -> int:
        return int(self.cells.sum())

    @property
    def bounds(self) -> tuple[float, float]:
        return float(self.numbers.low[self.place]), float(self.numbers.high[self.place])

    def deviation(self) -> float:
        """The standard deviation of all values; NaN without values."""
        return self.mean_and_deviation()[1] if self.count else math.nan

    def mean_and_deviation(self) -> tuple[float, float]:
        """Of all values, of which there must be some."""
        sums = self.numbers.sums[self.place].tolist()
        return mean_and_deviation(self.count, sums, self.grid.low, self.grid.scale)

    def cell_bounds(self) -> tuple[Floats, Floats]:
        """(least, most) that a value of each cell can be; the same where a cell holds one whole number."""
        low, high = self.bounds
        edges = self.grid.edges
        lows, highs = np.clip(edges[:-1], low, high), np.clip(edges[1:], low, high)
        if self.single:
            lows[_SINGLE] = highs[_SINGLE] = edges[:-1][_SINGLE] + 0.5
        return lows, highs


def columns_in(numbers: Numbers, bins: Bins | None) -> list[tuple[str, Column]]:
    """Every column by name. `bins` None: they are outputs."""
    return [(name, _column(numbers, place, bins)) for place, name in enumerate(numbers.names)]


def numbers_of(
    now: Numbers, bins: Bins | None, base: Numbers, base_bins: Bins | None
) -> list[tuple[str, Column, Column]]:
    base_places = {name: place for place, name in enumerate(base.names)}
    return [
        (name, _column(now, place, bins), _column(base, base_places[name], base_bins))
        for place, name in enumerate(now.names)
        if name in base_places
    ]


def _column(numbers: Numbers, place: int, bins: Bins | None) -> Column:
    found = None if bins is None else bins.get(numbers.names[place])
    if found is not None and found.kind == "numeric":
        return Column(numbers, place, found.grid, found.single)
    return Column(numbers, place, UNIT_INTERVAL if bins is None else OPEN, False)


def numeric(name: str, now: Column, base: Column) -> FeatureDrift | None:
    """All that is told of a number; None where a side has no rows."""
    _, groups, base_groups = number_groups(now, base)
    mine, its = Side(groups, now.count, now.missing), Side(base_groups, base.count, base.missing)
    if not mine.rows or not its.rows:
        return None
    absences = chi_square(np.array([now.missing, now.count]), np.array([base.missing, base.count]))
    found = compared(name, "numeric", mine, its, absences.p_value)
    if not now.count or not base.count:
        return found
    return _distances(found, now, base, absences.p_value if absences.degrees else None)


def _distances(found: FeatureDrift, now: Column, base: Column, absences_p: float | None) -> FeatureDrift:
    """Adds what known values on both sides allow. With missing values, two tests are made: Bonferroni over both."""
    mine, its = cumulated(now, base)
    ks, ks_error = kolmogorov_smirnov(mine, its)
    area, area_error = wasserstein(mine, its)
    if max(map(abs, (*now.bounds, *base.bounds))) > LARGEST:  # beyond the cells' edges nothing bounds the error
        area = area_error = math.inf
    p_value = kolmogorov_p(ks, now.count, base.count)
    if absences_p is not None:
        p_value = min(1.0, 2 * min(p_value, absences_p))
    deviation = base.deviation()
    return replace(
        found,
        ks=figure(ks),
        ks_error=figure(ks_error),
        wasserstein=_known(area),
        wasserstein_error=_known(area_error),
        wasserstein_normed=_known(area / deviation) if 0 < deviation < math.inf else None,
        p_value=figure(p_value),
    )


def _known(value: float) -> float | None:
    """A figure; None where it left the doubles, since what is stated must equal itself."""
    return figure(value) if math.isfinite(value) else None


def cumulated(now: Column, base: Column) -> tuple[Cumulated, Cumulated]:
    """Both sides' shares below the edges of the first one's cells, the outermost ones at the least and most of both."""
    edges = now.grid.edges.copy()
    (low, high), (base_low, base_high) = now.bounds, base.bounds
    edges[0] = min(low, base_low, edges[1])
    edges[-1] = max(high, base_high, edges[-2])
    single = np.zeros(len(edges) - 1, np.bool_)
    same = now.grid == base.grid
    if now.single and base.single and same:
        single[_SINGLE] = True
    if low == high == base_low == base_high:
        single[:] = True
    share = np.concatenate([[0.0], np.cumsum(now.cells) / now.count])
    mine = Cumulated(edges, share, share, share, single)
    if same:
        share = np.concatenate([[0.0], np.cumsum(base.cells) / base.count])
        return mine, Cumulated(edges, share, share, share, single)
    return mine, _elsewhere(base, edges, single)


def _elsewhere(column: Column, edges: Floats, single: Counts) -> Cumulated:
    """The shares of a column below edges that are not its own: drawn straight within its cells."""
    own = column.grid.edges.copy()
    own[0], own[-1] = min(column.bounds[0], own[1]), max(column.bounds[1], own[-2])
    upto = np.concatenate([[0.0], np.cumsum(column.cells) / column.count])
    share = np.interp(edges, own, upto)
    least = upto[np.clip(np.searchsorted(own, edges, side="right") - 1, 0, len(own) - 1)]
    most = upto[np.clip(np.searchsorted(own, edges, side="left"), 0, len(own) - 1)]
    least[edges > own[-1]], most[edges < own[0]] = 1.0, 0.0
    return Cumulated(edges, share, least, most, single)


def _moved(column: Column, grid: Grid) -> Floats:
    """A column's counts in the cells of another grid, each cell's drawn out evenly."""
    if not column.count:
        return np.zeros(len(column.cells))
    edges = grid.edges.copy()
    low, high = column.bounds
    edges[0], edges[-1] = min(low, edges[1]), max(high, edges[-2])
    return np.diff(_elsewhere(column, edges, np.zeros(0, np.bool_)).share) * column.count


def number_groups(now: Column, base: Column) -> tuple[list[int], Counts, Counts]:
    """(first cells, counts now, counts of the base) of the groups; a base counted in other cells is drawn out."""
    cells = base.cells if base.grid == now.grid else _moved(base, now.grid)
    starts = group_starts(cells) if base.count else [0]
    return starts, np.add.reduceat(now.cells, starts), np.add.reduceat(cells, starts)


def group_starts(cells: Counts) -> list[int]:
    """The first cell of each of some GROUPS runs of cells that hold about equal parts of the base. A cell that alone
    holds such a part is a group of its own, so that what lies beside a constant, or a zero, does not count as it."""
    upto = np.cumsum(cells)
    total, done = float(upto[-1]), 0.0
    starts = {0}
    for group in range(1, GROUPS):
        cut = int(np.searchsorted(upto, group * total / GROUPS)) + 1
        if cut < len(upto) and done < upto[cut - 1] < total:
            starts.add(cut)
            done = float(upto[cut - 1])
    for cell in np.flatnonzero(cells * GROUPS >= total).tolist() if total else ():
        starts |= {cell, min(cell + 1, len(cells) - 1)}
    return sorted(starts)
