"""Looking at unflagged predictions: which to look at, and what the experts' words say of all of them. Pure.

Nobody flags what nobody looks at, so the share of flagged predictions is no error rate. Here predictions are drawn at
random, within strata whose sizes are known, and every stratum is drawn from: whatever the strata, the weighted share of
wrong ones is an unbiased estimate (stratified random sampling without replacement; Cochran, Sampling Techniques, 1977,
chapter 5). Drawing more where the model is least certain only makes it more precise where errors are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]

MAX_STRATA = 50
LEAST = 2
"""Drawn from each stratum at least, as far as it has so many."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A stratum: `size` predictions, of which `judged` were looked at and `wrong` found wrong; where experts
    differ, a prediction is wrong by the share of them who say so."""

    size: int
    judged: int
    wrong: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """The share of wrong predictions, with an interval at `level`. `effective`: how many predictions drawn at random
    from all would say as much. `covered`: share of the predictions whose strata were looked at; below 1 the rest is not
    known, and the estimate is about what was."""

    rate: float
    low: float
    high: float
    level: float
    effective: float
    covered: float


def allocate(sizes: Sequence[int], weights: Sequence[float], drawn: int) -> list[int]:
    """How many to draw from each stratum: by size times weight, at least LEAST, never more than there are; largest
    remainders get the rest. Altogether `drawn`, or more where LEAST wants more, or all there are."""
    least = [min(size, LEAST) for size in sizes]
    taken = list(least)
    while (left := min(drawn, sum(sizes)) - sum(taken)) > 0:
        shares = [
            size * weight if have < size else 0.0 for size, weight, have in zip(sizes, weights, taken, strict=True)
        ]
        total = sum(shares)
        if total <= 0:
            shares = [float(size - have) for size, have in zip(sizes, taken, strict=True)]
            total = sum(shares)
        exact = [share / total * left for share in shares]
        given = [min(size - have, floor(one)) for size, have, one in zip(sizes, taken, exact, strict=True)]
        if not any(given):
            order = sorted(range(len(sizes)), key=lambda place: (-exact[place], place))
            for place in [one for one in order if taken[one] < sizes[one]][:left]:
                given[place] = 1
        taken = [have + more for have, more in zip(taken, given, strict=True)]
    return taken


def by_score(scores: NDArray[np.float64], parts: int) -> NDArray[np.int64]:
    """The stratum of each prediction: equally many in each, by ascending score; equal scores stay together."""
    ranks = np.searchsorted(np.sort(scores), scores, side="left")
    return np.minimum(ranks * parts // max(1, len(scores)), parts - 1).astype(np.int64)


def uncertainty(scores: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """From 0 (far from the threshold, or the furthest of all) to 1 (on it)."""
    distance = np.abs(scores - threshold)
    most = distance.max(initial=0.0)
    return 1.0 - distance / most if most > 0 else np.ones(len(scores))


def estimate(strata: Mapping[str, Looked], level: float = 0.95) -> Estimate | None:
    """The share of wrong predictions of all; None before anything was looked at.

    Interval: Clopper and Pearson's, at the effective size of the sample (Korn and Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24, 1998):
    as many as drawn at random from all would give the variance of the stratified estimate. Where no stratum varies, or
    where that would be more, the size of Kish (Survey Sampling, 1965), which the strata's weights alone tell.
    """
    seen = [one for one in strata.values() if one.judged > 0 and one.size > 0]
    if not seen:
        return None
    known = sum(one.size for one in seen)
    weights = [one.size / known for one in seen]
    rate = sum(weight * one.wrong / one.judged for weight, one in zip(weights, seen, strict=True))
    if all(one.judged >= one.size for one in seen):
        return Estimate(rate, rate, rate, level, float(known), known / _total(strata))
    kish = 1.0 / sum(weight**2 / one.judged for weight, one in zip(weights, seen, strict=True))
    variance = sum(weight**2 * _variance(one) for weight, one in zip(weights, seen, strict=True))
    effective = min(kish, rate * (1 - rate) / variance) if variance > 0 and 0 < rate < 1 else kish
    low, high = clopper_pearson(rate * effective, effective, level)
    return Estimate(rate, low, high, level, effective, known / _total(strata))


def clopper_pearson(hits: float, trials: float, level: float) -> tuple[float, float]:
    """The exact interval of a share (Biometrika 26, 1934), also for sizes that are no whole numbers."""
    tail = (1 - level) / 2
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return low, high


def _variance(one: Looked) -> float:
    """Of the share in a stratum, estimated (Cochran, 1977, chapter 5). A stratum of which one was looked at has no
    variance of its own: it is taken as varying as much as a share can."""
    rest = 1 - one.judged / one.size
    if one.judged == 1:
        return 0.25 * rest
    share = one.wrong / one.judged
    return rest * share * (1 - share) / (one.judged - 1)


def _total(strata: Mapping[str, Looked]) -> int:
    return sum(one.size for one in strata.values())
