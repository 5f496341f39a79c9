"""Drift of all features together: how well rows of a window can be told from rows of the base.

A classifier learns on half of both samples of rows and scores the other half; its area under the ROC curve there is 0.5
where there is nothing to tell, and chance moves it as it moves the Mann-Whitney statistic. It sees what no single
feature shows, such as a correlation that went away. Source: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample
Tests, ICLR 2017. The classifier is regularised least squares with a Gaussian kernel (Rifkin, Yeo and Poggio, 2003) over
ranks, so that no feature's scale or extremes count: some milliseconds, without chance of its own.
"""

# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain.figures import figure
from services.monitor.domain.grid import Floats, Ints
from services.monitor.domain.rows import Rows

LEAST_ROWS = 100
"""Distinct rows that each sample must have."""

RIDGE = 1.0
TOLD_LEVEL = 0.05
NAMED = 3
"""Features named as those that told most."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Multivariate:
    """`auc` of telling rows of the window from rows of the base, out of sample; `p_value` that chance gives as much,
    one-sided; `told_by`: the features without which it would be told less, with how much of the area they make."""

    auc: float
    p_value: float
    rows: int
    base_rows: int
    told_by: tuple[tuple[str, float], ...]


def domain_classifier(now: Rows, base: Rows) -> Multivariate | None:
    """None where a sample has too few rows, or both have no column in common. Each row counts as often as it came."""
    names = [name for name in now.names if name in base.names]
    texts = [name for name in now.text_names if name in base.text_names]
    if min(len(now.hashes), len(base.hashes)) < LEAST_ROWS or not names + texts:
        return None
    found = _table(now, base, names, texts)
    new = np.repeat([True, False], [len(now.hashes), len(base.hashes)])
    weights = np.concatenate([now.counts / now.counts.sum(), base.counts / base.counts.sum()])
    hashes = np.concatenate([now.hashes, base.hashes])
    held = (hashes >> np.uint64(3)) % np.uint64(2) == 0  # of any row that both sides have, both are held out or none
    if min(np.count_nonzero(held & new), np.count_nonzero(held & ~new)) < LEAST_ROWS / 4:
        return None
    fold = _learn(found, new, weights, held)
    mine, its = _effective(weights[held & new]), _effective(weights[held & ~new])
    error = math.sqrt((mine + its + 1) / (12 * mine * its))
    p_value = 0.5 * math.erfc((fold.auc - 0.5) / error / math.sqrt(2))
    told_by = _told_by(fold, found, names + texts) if p_value < TOLD_LEVEL else ()
    return Multivariate(figure(fold.auc), figure(p_value), len(now.hashes), len(base.hashes), told_by)


@dataclass(frozen=True, slots=True)
class _Table:
    """All rows' numbers [rows, numeric], scaled, and codes of texts [rows, categorical] with their `scales`."""

    numbers: Floats
    codes: Ints
    scales: Floats

    def distances(self, left: Bools, right: Bools) -> Floats:
        """Squared distances of some rows from others; on average each column gives one."""
        a, b = self.numbers[left], self.numbers[right]
        found = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2 * (a @ b.T)
        for column, scale in enumerate(self.scales.tolist()):
            found += (self.codes[left, column][:, None] != self.codes[right, column][None, :]) * scale
        return np.maximum(found, 0.0, out=found)

    def own(self, place: int, left: Bools, right: Bools) -> Floats:
        """What one column gives to those distances."""
        if place < self.numbers.shape[1]:
            apart = self.numbers[left, place][:, None] - self.numbers[right, place][None, :]
            return apart * apart
        column = place - self.numbers.shape[1]
        apart = self.codes[left, column][:, None] != self.codes[right, column][None, :]
        return apart * float(self.scales[column])


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What was learnt without the rows `held`, and how it fares there."""

    held: Bools
    new: Bools
    weights: Floats
    distances: Floats
    width: float
    learnt: Floats
    auc: float


def _learn(table: _Table, new: Bools, weights: Floats, held: Bools) -> _Learnt:
    inner, outer = table.distances(~held, ~held), table.distances(held, ~held)
    width = float(np.median(outer)) or 1.0
    kernel = np.exp(-inner / width)
    kernel[np.diag_indices_from(kernel)] += RIDGE / (weights[~held] / weights[~held].mean())
    learnt = np.linalg.solve(kernel, np.where(new[~held], 1.0, -1.0))
    scores = np.exp(-outer / width) @ learnt
    return _Learnt(held, new[held], weights[held], outer, width, learnt, auc(scores, new[held], weights[held]))


def _told_by(fold: _Learnt, table: _Table, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """How much less is told when a feature of the rows held out is taken from other rows (permutation importance;
    Breiman 2001)."""
    found: list[tuple[str, float]] = []
    for place, name in enumerate(names):
        own = table.own(place, fold.held, ~fold.held)
        changed = fold.distances - own + np.roll(own, len(own) // 2, axis=0)
        scores = np.exp(-np.maximum(changed, 0.0) / fold.width) @ fold.learnt
        found.append((name, figure(max(fold.auc - auc(scores, fold.new, fold.weights), 0.0))))
    return tuple(sorted((one for one in found if one[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:NAMED])


def auc(scores: Floats, positive: Bools, weights: Floats) -> float:
    """Weighted area under the ROC curve, ties counted half (Hanley and McNeil 1982)."""
    values, places = np.unique(scores, return_inverse=True)
    yes = np.bincount(places, weights * positive, len(values))
    no = np.bincount(places, weights * ~positive, len(values))
    return float((yes * (np.cumsum(no) - no / 2)).sum() / (yes.sum() * no.sum()))


def _effective(weights: Floats) -> float:
    """Rows of equal weight that tell as much (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _table(now: Rows, base: Rows, names: Sequence[str], texts: Sequence[str]) -> _Table:
    rows = len(now.hashes) + len(base.hashes)
    numbers, codes, scales = np.zeros((rows, len(names))), np.zeros((rows, len(texts)), np.int64), np.zeros(len(texts))
    for place, name in enumerate(names):
        ranks = _ranks(now, base, name)
        deviation = float(ranks.std())
        numbers[:, place] = ranks / (deviation * math.sqrt(2)) if deviation else 0.0
    for place, name in enumerate(texts):
        codes[:, place] = _codes(now, base, name)
        apart = 1.0 - float(((np.bincount(codes[:, place]) / rows) ** 2).sum())
        scales[place] = 1.0 / apart if apart else 0.0
    return _Table(numbers, codes, scales)


def _ranks(now: Rows, base: Rows, name: str) -> Floats:
    """Ranks of both sides together, from 0 to 1, equal for equal values; missing values lie below them."""
    values = np.concatenate([one.values[:, one.names.index(name)] for one in (now, base)]).astype(np.float64)
    absent = np.isnan(values)
    _, places = np.unique(np.where(absent, -np.inf, values), return_inverse=True)
    counts = np.bincount(places)
    ranks = (np.cumsum(counts) - counts / 2)[places] / len(values)
    return np.where(absent, -0.5, ranks)


def _codes(now: Rows, base: Rows, name: str) -> Ints:
    codes: dict[Any, int] = {}
    return np.array(
        [codes.setdefault(text, len(codes)) for text in [*_texts(now, name), *_texts(base, name)]], np.int64
    )


def _texts(rows: Rows, name: str) -> list[Any]:
    return rows.texts[:, rows.text_names.index(name)].tolist()
