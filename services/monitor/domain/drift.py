"""Drift of a feature: the population stability index against the version's reference.

PSI = sum over groups of (p - q) ln(p / q), p being a group's share now and q its share in the reference. Source:
Siddiqi, Credit Risk Scorecards (2006), ch. 10; its chance behaviour: Yurdakul and Naranjo, Statistical properties of
the population stability index, J. Risk Model Validation 14(4), 2020: without drift about (groups - 1)(1/n + 1/m).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.monitor.domain.bins import Bins, FeatureBins, Kind
from services.monitor.domain.figures import figure
from services.monitor.domain.sketch import Categories, Floats, Ints, Sketch

GROUPS = 10
EPSILON = 1e-4
"""The share that an empty group counts as, so that the logarithm exists."""

MIN_ROWS = 100
"""Fewer rows are too few: chance alone would give a PSI near 0.1 and often more."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    feature: str
    kind: Kind
    psi: float
    rows: int


def drift(sketch: Sketch, bins: Bins) -> list[FeatureDrift]:
    """The PSI of every feature that has a reference and any row here, by name."""
    found: list[FeatureDrift] = []
    for feature, reference in sorted(bins.items()):
        now = _numeric(sketch, reference) if reference.kind == "numeric" else _categorical(sketch.categories, reference)
        if now is None or now.sum() == 0:
            continue
        value = figure(psi(now, _reference_groups(reference)))
        found.append(FeatureDrift(feature, reference.kind, value, int(now.sum())))
    return found


def psi(now: Ints, reference: Ints) -> float:
    """The population stability index of two sets of counts over the same groups (natural logarithm)."""
    filled = (now > 0) | (reference > 0)
    p, q = _shares(now[filled]), _shares(reference[filled])
    return float(((p - q) * np.log(p / q)).sum())


def group_starts(cells: Ints) -> list[int]:
    """The first cell of each of up to GROUPS runs of cells that hold about equal parts of the reference."""
    upto = np.cumsum(cells)
    total, done = int(upto[-1]), 0
    starts = [0]
    for group in range(1, GROUPS):
        cut = int(np.searchsorted(upto, math.ceil(group * total / GROUPS))) + 1
        if done < upto[cut - 1] < total:
            starts.append(cut)
            done = int(upto[cut - 1])
    return starts


def _shares(counts: Ints) -> Floats:
    shares = counts / counts.sum()
    return np.maximum(shares, EPSILON)


def _reference_groups(reference: FeatureBins) -> Ints:
    if reference.kind == "numeric":
        cells = reference.dense()
        return np.append(np.add.reduceat(cells, group_starts(cells)), reference.missing)
    return np.array([*(count for _, count in reference.counts), reference.other, reference.missing], np.int64)


def _numeric(sketch: Sketch, reference: FeatureBins) -> Ints | None:
    numbers = sketch.features
    if reference.feature not in numbers.names:
        return None
    place = numbers.names.index(reference.feature)
    groups = np.add.reduceat(numbers.cells[place], group_starts(reference.dense()))
    return np.append(groups, numbers.missing[place])


def _categorical(categories: Mapping[str, Categories], reference: FeatureBins) -> Ints | None:
    now = categories.get(reference.feature)
    if now is None:
        return None
    known = [now.counts.get(value, 0) for value, _ in reference.counts]
    other = now.other + sum(now.counts.values()) - sum(known)
    return np.array([*known, other, now.missing], np.int64)
