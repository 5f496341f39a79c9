"""How the values of each feature are counted: a number in the cells of its grid, a category by its name.

Numbers: the grid lies over the middle 99 % of the reference; each whole number has a cell of its own where that fits
(whole numbers that span at most 250), and where much of the reference would crowd into one of the equal cells, the
cells are bent. Categories (text, boolean): the reference's own values, most frequent first, are declared.
"""

# pyright: reportUnknownMemberType=false

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

import numpy as np

from services.monitor.domain.grid import CELLS, INNER, OPEN, Floats, Grid
from shared.events.registry import Signature

EDGE_SHARES = (0.005, 0.025, 0.1)
"""The share of the reference that lies below the inner cells, and above them; more where extremes crowd the rest."""

MOST_WHOLE = 250
CROWDED = 0.05
"""A cell that holds more of the reference than this, other than by one value, tells that the cells are too wide."""

_VAST = 1e300
"""Differences of numbers no greater than this are finite."""

MAX_NAME = 200
"""Characters of a category's name."""

Kind = Literal["numeric", "categorical"]
Reference = float | str | bool | None


@dataclass(frozen=True, slots=True)
class FeatureBins:
    """How one feature is counted. Numbers: `grid`, the reference's own range, and whether all values are whole and each
    inner cell holds a `single` one; categories: those `declared`."""

    feature: str
    kind: Kind
    grid: Grid = OPEN
    least: float = -math.inf
    most: float = math.inf
    declared: tuple[str, ...] = ()
    single: bool = False


Bins = Mapping[str, FeatureBins]


def bins_of(
    signature: Signature, reference: Mapping[str, Sequence[Reference]], max_categories: int = 1_000
) -> dict[str, FeatureBins]:
    """The bins of every feature of the reference; of one that is missing throughout, where the signature says what it
    is."""
    types = {field.name: field.type for field in signature.inputs}
    bins: dict[str, FeatureBins] = {}
    for feature, values in sorted(reference.items()):
        known = [value for value in values if not missing(value)]
        if not known and (feature not in types or not values):
            continue
        if categorical(types.get(feature), known):
            counts = Counter(category(value) for value in known)
            ranked = sorted(counts, key=lambda name: (-counts[name], name))
            bins[feature] = FeatureBins(feature, "categorical", declared=tuple(ranked[:max_categories]))
        elif not known:
            bins[feature] = FeatureBins(feature, "numeric")
        else:
            numbers = np.array(known, np.float64)
            grid = grid_of(numbers)
            single = types.get(feature) == "long" and grid.high - grid.low == INNER and grid.low % 1 == 0.5
            least, most = float(numbers.min()), float(numbers.max())
            bins[feature] = FeatureBins(feature, "numeric", grid, least, most, single=single)
    return bins


def grid_of(known: Floats) -> Grid:
    """The grid for numbers like these (finite, at least one)."""
    known = np.sort(np.clip(known, -_VAST, _VAST))
    first, last = float(known[0]), float(known[-1])
    if last - first <= MOST_WHOLE and max(abs(first), abs(last)) < 2**52 and (known == np.rint(known)).all():
        low = first - 0.5 - (INNER - int(last - first) - 1) // 2
        return Grid(low, low + INNER)
    best, least = _around(first), math.inf
    for share in EDGE_SHARES:
        for grid in _candidates(known, share):
            crowd = _crowd(grid, known)
            if crowd < least:
                best, least = grid, crowd
            if crowd <= CROWDED:
                return best
    return best


def _around(value: float) -> Grid:
    """The grid of a constant, or of what is as good as one."""
    half = max(0.5, abs(value) * 1e-6)
    return Grid(value - half, value + half)


def _candidates(known: Floats, share: float) -> list[Grid]:
    """Equal cells, then cells bent around the middle and around either end of what lies between the edges."""
    low, early, quarter, middle, threequarters, late, high = (
        float(edge) for edge in np.quantile(known, [share, 0.05, 0.25, 0.5, 0.75, 0.95, 1 - share])
    )
    if not _divisible(low, high):
        return []
    least = (high - low) * 2.0**-40
    bends = [(middle, (threequarters - quarter) / 32), (low, (early - low) / 8), (high, (high - late) / 8)]
    curved = [Grid(low, high, pivot, max(unit, least)) for pivot, unit in bends]
    return [Grid(low, high), *(one for one in curved if math.isfinite(one.bend[1]))]


def as_json(bins: Bins) -> list[dict[str, Any]]:
    """The bins as JSON data for a view; `from_json` reads them back."""
    return [
        {
            "feature": one.feature,
            "kind": one.kind,
            "grid": [one.grid.low, one.grid.high, one.grid.pivot, one.grid.unit],
            "range": None if math.isinf(one.least) else [one.least, one.most],
            "declared": list(one.declared),
            "single": one.single,
        }
        for _, one in sorted(bins.items())
    ]


def from_json(data: Sequence[Mapping[str, Any]]) -> dict[str, FeatureBins]:
    """The bins that `as_json` wrote."""
    found: dict[str, FeatureBins] = {}
    for one in data:
        least, most = one["range"] or (-math.inf, math.inf)
        low, high, pivot, unit = one["grid"]
        grid = Grid(float(low), float(high), None if pivot is None else float(pivot), float(unit))
        declared = tuple(str(name) for name in one["declared"])
        found[one["feature"]] = FeatureBins(
            one["feature"], one["kind"], grid, float(least), float(most), declared, bool(one["single"])
        )
    return found


def category(value: object) -> str:
    """How a categorical value is named in counts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return short(str(value))


def short(name: str) -> str:
    """A name of at most MAX_NAME characters; one that is cut ends with its CRC-32, which keeps apart those that begin
    alike, and with how long it was."""
    if len(name) <= MAX_NAME:
        return name
    end = f"… {crc32(name.encode('utf-8', 'surrogatepass')):08x} ({len(name)} characters)"
    return name[: MAX_NAME - len(end)] + end


def missing(value: Reference) -> bool:
    """Whether a reference's value is none."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def categorical(stated: str | None, known: Sequence[Reference]) -> bool:
    """Whether a feature is counted by its values, by the signature's word or else by what they are."""
    if stated is not None:
        return stated in ("string", "boolean")
    return any(isinstance(value, str | bool) for value in known)


def _divisible(low: float, high: float) -> bool:
    return high > low and math.isfinite(INNER / (high - low)) and low + (high - low) / INNER > low


def _crowd(grid: Grid, known: Floats) -> float:
    """The largest share of sorted values in one cell, beyond the most frequent value of that cell."""
    cells = grid.cells(known)
    counts = np.bincount(cells, minlength=CELLS)
    worst = 0
    for cell in np.flatnonzero(counts > CROWDED * len(known)):
        _, repeats = np.unique(known[cells == cell], return_counts=True)
        worst = max(worst, int(counts[cell]) - int(repeats.max()))
    return worst / len(known)
