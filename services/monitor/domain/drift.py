"""Drift of each feature of a window against a base: the version's reference, another window, or the champion's.

Effect and chance are told apart: a feature has drifted where a distance reaches its threshold and, over all features
together, chance does not explain it (Benjamini-Hochberg, see `statistics.adjusted`).
"""

# pyright: reportUnknownMemberType=false

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from services.monitor.domain.bins import Bins, Kind
from services.monitor.domain.categories import Categories
from services.monitor.domain.figures import figure
from services.monitor.domain.grid import INNER, OPEN, TAIL, UNIT_INTERVAL, Floats, Grid
from services.monitor.domain.sketch import Numbers, Sketch
from services.monitor.domain.statistics import (
    Counts,
    Cumulated,
    adjusted,
    chi_square,
    jensen_shannon,
    kolmogorov_p,
    kolmogorov_smirnov,
    psi,
    wasserstein,
)
from services.monitor.domain.sums import mean_and_deviation

GROUPS = 10
"""Groups of about equal parts of the base, in which numbers' PSI, Jensen-Shannon distance and chi-square are taken."""

NAMED_GROUPS = 50
"""The base's most frequent categories, each a group of its own; its others are one, and new ones another."""

MIN_ROWS = 100
"""Of fewer rows nothing is said to have drifted."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature's distances. `*_error`: how far the figure may be from that of the values themselves.

    `wasserstein` in the feature's unit, `wasserstein_normed` in standard deviations of the base. `new`: share of the
    known rows whose category the base has not. `p_value`: that of the test of this feature alone; `adjusted_p_value`:
    over all features compared. None: not of this kind, or not defined.
    """

    feature: str
    kind: Kind
    psi: float
    rows: int
    base_rows: int = 0
    jensen_shannon: float = 0.0
    ks: float | None = None
    ks_error: float | None = None
    wasserstein: float | None = None
    wasserstein_error: float | None = None
    wasserstein_normed: float | None = None
    chi_square: float = 0.0
    degrees: int = 0
    p_value: float = 1.0
    adjusted_p_value: float = 1.0
    missing: float = 0.0
    base_missing: float = 0.0
    new: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """When a feature has drifted: any distance at or over its threshold, and an adjusted p-value of at most `level`."""

    thresholds: Mapping[str, float] = field(default_factory=lambda: {"psi": 0.2})
    level: float = 0.01

    def reached(self, one: FeatureDrift) -> tuple[str, float, float] | None:
        """(statistic, value, threshold) of the first distance that tells of drift; None where there is no drift."""
        if one.rows < MIN_ROWS or one.adjusted_p_value > self.level:
            return None
        for name, threshold in self.thresholds.items():
            found: float | None = getattr(one, name)
            if found is not None and found >= threshold:
                return name, found, threshold
        return None


@dataclass(frozen=True, slots=True)
class Base:
    """What a window is compared with, and how it was counted."""

    sketch: Sketch
    bins: Bins


def drift(now: Sketch, bins: Bins, base: Base, outputs: bool = False) -> list[FeatureDrift]:
    """Every feature that both sides have rows of, by name; with `outputs` the number outputs, too, as `output.NAME`."""
    same = base.bins is bins
    found = [
        _numeric(name, *one)
        for name, *one in _numbers(now.features, bins, base.sketch.features, bins if same else base.bins)
    ]
    found += [
        _categorical(name, now.categories[name], base.sketch.categories[name])
        for name in now.categories.keys() & base.sketch.categories.keys()
    ]
    if outputs:
        found += [
            _numeric(f"output.{name}", *one) for name, *one in _numbers(now.outputs, None, base.sketch.outputs, None)
        ]
    known = sorted((one for one in found if one is not None), key=lambda one: one.feature)
    values = adjusted([one.p_value for one in known])
    return [replace(one, adjusted_p_value=figure(value)) for one, value in zip(known, values, strict=True)]


@dataclass(frozen=True, slots=True)
class _Column:
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
        if not self.count:
            return math.nan
        sums = self.numbers.sums[self.place].tolist()
        _, deviation = mean_and_deviation(self.count, sums, self.grid.low, self.grid.scale)
        return deviation


def _numbers(
    now: Numbers, bins: Bins | None, base: Numbers, base_bins: Bins | None
) -> list[tuple[str, _Column, _Column]]:
    base_places = {name: place for place, name in enumerate(base.names)}
    return [
        (name, _column(now, place, bins), _column(base, base_places[name], base_bins))
        for place, name in enumerate(now.names)
        if name in base_places
    ]


def _column(numbers: Numbers, place: int, bins: Bins | None) -> _Column:
    found = None if bins is None else bins.get(numbers.names[place])
    if found is not None and found.kind == "numeric":
        return _Column(numbers, place, found.grid, found.single)
    return _Column(numbers, place, UNIT_INTERVAL if bins is None else OPEN, False)


def _numeric(name: str, now: _Column, base: _Column) -> FeatureDrift | None:
    rows, base_rows = now.count + now.missing, base.count + base.missing
    if not rows or not base_rows:
        return None
    cells = base.cells if base.grid == now.grid else _moved(base, now.grid)
    starts = group_starts(cells) if base.count else [0]
    groups = np.append(np.add.reduceat(now.cells, starts), now.missing)
    base_groups = np.append(np.add.reduceat(cells, starts), base.missing)
    test = chi_square(groups, base_groups)
    found = FeatureDrift(
        name,
        "numeric",
        figure(psi(groups, base_groups)),
        rows,
        base_rows,
        figure(jensen_shannon(groups, base_groups)),
        chi_square=figure(test.statistic),
        degrees=test.degrees,
        missing=figure(now.missing / rows),
        base_missing=figure(base.missing / base_rows),
    )
    absences = chi_square(np.array([now.missing, now.count]), np.array([base.missing, base.count]))
    if not now.count or not base.count:
        return replace(found, p_value=figure(absences.p_value))
    return _distances(found, now, base, absences.p_value if absences.degrees else None)


def _distances(found: FeatureDrift, now: _Column, base: _Column, absences_p: float | None) -> FeatureDrift:
    """Adds what known values on both sides allow. With missing values, two tests are made: Bonferroni over both."""
    mine, its = cumulated(now, base)
    ks, ks_error = kolmogorov_smirnov(mine, its)
    area, area_error = wasserstein(mine, its)
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


def cumulated(now: _Column, base: _Column) -> tuple[Cumulated, Cumulated]:
    """Both sides' shares below the edges of the first one's cells, the outermost ones at the least and most of both."""
    edges = now.grid.edges.copy()
    (low, high), (base_low, base_high) = now.bounds, base.bounds
    edges[0] = min(low, base_low, edges[1])
    edges[-1] = max(high, base_high, edges[-2])
    single = np.zeros(len(edges) - 1, np.bool_)
    same = now.grid == base.grid
    if now.single and base.single and same:
        single[TAIL - 4 : TAIL + INNER + 4] = True
    if low == high == base_low == base_high:
        single[:] = True
    share = np.concatenate([[0.0], np.cumsum(now.cells) / now.count])
    mine = Cumulated(edges, share, share, share, single)
    if same:
        share = np.concatenate([[0.0], np.cumsum(base.cells) / base.count])
        return mine, Cumulated(edges, share, share, share, single)
    return mine, _elsewhere(base, edges, single)


def _elsewhere(column: _Column, edges: Floats, single: Counts) -> Cumulated:
    """The shares of a column below edges that are not its own: drawn straight within its cells."""
    own = column.grid.edges.copy()
    own[0], own[-1] = min(column.bounds[0], own[1]), max(column.bounds[1], own[-2])
    upto = np.concatenate([[0.0], np.cumsum(column.cells) / column.count])
    share = np.interp(edges, own, upto)
    least = upto[np.clip(np.searchsorted(own, edges, side="right") - 1, 0, len(own) - 1)]
    most = upto[np.clip(np.searchsorted(own, edges, side="left"), 0, len(own) - 1)]
    least[edges > own[-1]], most[edges < own[0]] = 1.0, 0.0
    return Cumulated(edges, share, least, most, single)


def _moved(column: _Column, grid: Grid) -> Floats:
    """A column's counts in the cells of another grid, each cell's drawn out evenly."""
    if not column.count:
        return np.zeros(len(column.cells))
    edges = grid.edges.copy()
    low, high = column.bounds
    edges[0], edges[-1] = min(low, edges[1]), max(high, edges[-2])
    return np.diff(_elsewhere(column, edges, np.zeros(0, np.bool_)).share) * column.count


def group_starts(cells: Counts) -> list[int]:
    """The first cell of each of up to GROUPS runs of cells that hold about equal parts of the base."""
    upto = np.cumsum(cells)
    total, done = float(upto[-1]), 0.0
    starts = [0]
    for group in range(1, GROUPS):
        cut = int(np.searchsorted(upto, group * total / GROUPS)) + 1
        if cut < len(upto) and done < upto[cut - 1] < total:
            starts.append(cut)
            done = float(upto[cut - 1])
    return starts


def _categorical(name: str, now: Categories, base: Categories) -> FeatureDrift | None:
    rows, base_rows = now.known + now.missing, base.known + base.missing
    if not rows or not base_rows:
        return None
    groups, base_groups, new = category_groups(now, base)
    test = chi_square(groups, base_groups)
    return FeatureDrift(
        name,
        "categorical",
        figure(psi(groups, base_groups)),
        rows,
        base_rows,
        figure(jensen_shannon(groups, base_groups)),
        chi_square=figure(test.statistic),
        degrees=test.degrees,
        p_value=figure(test.p_value),
        missing=figure(now.missing / rows),
        base_missing=figure(base.missing / base_rows),
        new=figure(new / now.known) if now.known else None,
    )


def category_groups(now: Categories, base: Categories) -> tuple[Counts, Counts, int]:
    """(counts now, counts of the base, rows of categories new to the base) over the base's most frequent categories,
    its others, those new to it, and missing."""
    named = {**base.declared, **base.counts}
    ranked = sorted(named, key=lambda name: (-named[name], name))
    here = {**now.declared, **now.counts}
    top = ranked[:NAMED_GROUPS]
    mine = [here.get(name, 0) for name in top]
    its = [named[name] for name in top]
    others = sum(here.get(name, 0) for name in ranked[NAMED_GROUPS:])
    unknown = now.known - sum(mine) - others
    if base.other:  # what the base counted without names may be what is not found among its names
        others, unknown = others + unknown, 0
    mine += [others, unknown, now.missing]
    its += [base.known - sum(its), 0, base.missing]
    return np.array(mine, np.int64), np.array(its, np.int64), unknown


def drifted(items: Sequence[FeatureDrift], rule: Rule) -> list[FeatureDrift]:
    """Those that have drifted by the rule."""
    return [one for one in items if rule.reached(one) is not None]
