"""Distances between two sets of counts over the same groups or cells, and the tests that go with them.

Formulas, sources and tolerances: docs/reference/statistics.md.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownArgumentType=false
# scipy ships no types

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from services.monitor.domain.grid import Floats

Counts = NDArray[Any]

EPSILON = 1e-4
"""The share that an empty group counts as in a PSI, so that the logarithm exists."""

LEAST_EXPECTED = 5.0
"""Groups with fewer expected rows are pooled before a chi-square test (Cochran, Biometrics 10, 1954)."""


def psi(now: Counts, base: Counts) -> float:
    """Population stability index, natural logarithm: sum of (p - q) ln(p / q) over groups filled on either side.

    Source: Siddiqi, Credit Risk Scorecards (2006), ch. 10; without drift it is about (groups - 1)(1/n + 1/m) by chance
    (Yurdakul and Naranjo, J. Risk Model Validation 14(4), 2020).
    """
    filled = (now > 0) | (base > 0)
    p, q = (np.maximum(one[filled] / one.sum(), EPSILON) for one in (now, base))
    return float(((p - q) * np.log(p / q)).sum())


def jensen_shannon(now: Counts, base: Counts) -> float:
    """Jensen-Shannon distance (the square root of the divergence, base 2): 0 the same, 1 nothing in common.

    Source: Endres and Schindelin, IEEE Trans. Information Theory 49(7), 2003.
    """
    p, q = now / now.sum(), base / base.sum()
    middle = (p + q) / 2
    divergence = (special.rel_entr(p, middle).sum() + special.rel_entr(q, middle).sum()) / 2 / np.log(2)
    return float(np.sqrt(max(divergence, 0.0)))


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's test of homogeneity, without continuity correction."""

    statistic: float
    degrees: int
    p_value: float


def chi_square(now: Counts, base: Counts) -> ChiSquare:
    """Whether two sets of counts over the same groups may come from one distribution.

    Groups with an expected count below LEAST_EXPECTED on either side are pooled into one. Fewer than two groups: p = 1.
    """
    table = pooled(np.stack([now, base]).astype(np.float64))
    expected = _expected(table)
    degrees = table.shape[1] - 1
    if degrees < 1:
        return ChiSquare(0.0, 0, 1.0)
    statistic = float(((table - expected) ** 2 / expected).sum())
    return ChiSquare(statistic, degrees, float(special.chdtrc(degrees, statistic)))


def pooled(table: Floats) -> Floats:
    """Counts [2, groups] with the groups of few expected rows put together, and with the next smallest if need be."""
    table = table[:, table.sum(axis=0) > 0]
    if not table.size or not table.sum(axis=1).all():
        return table[:, :1]
    least = _expected(table).min(axis=0)
    order = np.argsort(least, kind="stable")
    few = int((least < LEAST_EXPECTED).sum())
    if not few:
        return table
    while few < table.shape[1] and least[order[:few]].sum() < LEAST_EXPECTED:
        few += 1
    rest = table[:, order[:few]].sum(axis=1, keepdims=True)
    return np.concatenate([table[:, np.sort(order[few:])], rest], axis=1)


def _expected(table: Floats) -> Floats:
    return np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum() if table.size else table


@dataclass(frozen=True, slots=True)
class Cumulated:
    """Shares of known values below each edge [k + 1] of a column, at least `least` and at most `most` where the column
    was counted in other cells. `edges` are finite. `single`: cells [k] of which all values lie in the middle."""

    edges: Floats
    share: Floats
    least: Floats
    most: Floats
    single: NDArray[np.bool_]


def kolmogorov_smirnov(now: Cumulated, base: Cumulated) -> tuple[float, float]:
    """(largest distance between both cumulative shares at the edges, how far the true one may be from it).

    Of counts in the same cells the true distance is never less, and never more than this plus the error.
    """
    found = float(np.abs(now.share - base.share).max(initial=0.0))
    up = np.where(now.single, 0.0, now.most[1:] - base.least[:-1])
    down = np.where(now.single, 0.0, base.most[1:] - now.least[:-1])
    upper = max(found, float(up.max(initial=0.0)), float(down.max(initial=0.0)))
    apart = max(float((now.least - base.most).max(initial=0.0)), float((base.least - now.most).max(initial=0.0)))
    return found, max(upper - found, found - apart)


def kolmogorov_p(distance: float, rows: int, base_rows: int) -> float:
    """The limiting distribution of the two-sample statistic (Smirnov 1948); conservative for few rows and for ties."""
    return float(special.kolmogorov(distance * np.sqrt(rows * base_rows / (rows + base_rows))))


def wasserstein(now: Cumulated, base: Cumulated) -> tuple[float, float]:
    """(area between both cumulative shares, in the column's unit; how far the true one may be from it).

    Between edges the shares are drawn straight; by a cell's width times its shares the truth may differ.
    Source: Vallender, Theory of Probability and its Applications 18(4), 1974.
    """
    widths = np.diff(now.edges)
    apart = np.abs(now.share - base.share)
    found = (apart[1:] + apart[:-1]) / 2
    upper = np.maximum(now.most[1:] - base.least[:-1], base.most[1:] - now.least[:-1])
    lower = np.maximum(0.0, np.maximum(now.least[:-1] - base.most[1:], base.least[:-1] - now.most[1:]))
    error = np.maximum(upper - found, found - lower)
    error[now.single] = 0.0
    return float((widths * found).sum()), float((widths * np.maximum(error, 0.0)).sum())


def adjusted(p_values: Sequence[float]) -> list[float]:
    """p-values such that refusing those at most q keeps the expected share of false alarms among alarms at q.

    With no drift at all this is the chance of any alarm. Holds for independent and for positively dependent features.
    Source: Benjamini and Hochberg, J. R. Statistical Society B 57(1), 1995; Benjamini and Yekutieli, Annals of
    Statistics 29(4), 2001.
    """
    p = np.array(p_values, np.float64)
    count = len(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * count / np.arange(1, count + 1)
    found = np.empty(count)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found.tolist()
