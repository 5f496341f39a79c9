"""Statistics of an experiment that stay valid however often it is looked at. All take arrays, so that thousands of
simulated experiments cost as much as one.

The difference of two means by the mixture sequential probability ratio test (H. Robbins, Ann. Math. Stat. 41, 1970; R.
Johari, P. Koomen, L. Pekelis, D. Walsh, Always Valid Inference, Operations Research 70(3), 2022) with estimated
variances, as in asymptotic confidence sequences (I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas,
Time-uniform central limit theory, Annals of Statistics 52(6), 2024). The sample ratio by a Dirichlet-multinomial Bayes
factor (M. Lindon, A. Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_CASES = 100
"""Cases of each arm below which nothing is said: estimated variances need some."""

PRIOR_CASES = 2.0
"""Imaginary cases of every kind in an estimated variance. With one, 5.1 % of A/A experiments whose rare mistakes cost
50 times the frequent ones were told apart at 5 %; with two, 2.6 %."""

RATIO_LEVEL = 0.001
"""Chance at which a sample ratio that is as planned is taken for a mismatch, over the whole life of an experiment."""

RATIO_PRIOR = 100.0
"""Weight of the planned shares in the prior of the sample ratio: it is the stronger the smaller the mismatch sought."""

_LN_MAX = 700.0


def moments(counts: Floats, costs: Floats) -> tuple[Floats, Floats, Floats]:
    """(cases [...], mean [...], variance of a case [...]) of counts [..., k] of cases that cost `costs` [k] each.

    The variance counts PRIOR_CASES imaginary cases more of every kind, so that a dear kind that has not come yet is not
    taken for impossible; it is too wide by that, and ever less so.
    """
    cases = counts.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (counts @ costs) / cases
    padded = counts + PRIOR_CASES
    total = padded.sum(-1)
    middle = (padded @ costs) / total
    variance = (padded @ costs**2) / total - middle**2
    return cases, mean, np.maximum(variance, 0.0) * total / (total - 1.0)


def squared_error(cases: Floats, variance: Floats, base_cases: Floats, base_variance: Floats) -> Floats:
    """Variance of the difference of two arms' means; infinite while either arm has too few cases."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = variance / cases + base_variance / base_cases
    return np.where(np.minimum(cases, base_cases) >= MIN_CASES, found, np.inf)


def half_width(squared: Floats, effect: float, level: float) -> Floats:
    """Half the width of the confidence sequence at 1 - level, given the variance of the difference. `effect`: the size
    for which it is made narrow (the deviation of the mixture), fixed before any data."""
    prior = effect * effect
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratio = (squared + prior) / squared
        width = np.sqrt(squared * (squared + prior) / prior * (2.0 * math.log(1.0 / level) + np.log(ratio)))
    return np.where(squared > 0, np.where(np.isfinite(squared), width, np.inf), 0.0)


def p_value(difference: Floats, squared: Floats, effect: float) -> Floats:
    """The always-valid p-value of no difference: one over the mixture likelihood ratio, at most 1."""
    prior = effect * effect
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        log_ratio = -0.5 * np.log1p(prior / squared) + 0.5 * difference**2 * prior / (squared * (squared + prior))
    log_ratio = np.where(np.isfinite(squared) & (squared > 0), log_ratio, 0.0)
    return np.exp(-np.clip(log_ratio, 0.0, _LN_MAX))


def ratio_p_value(counts: NDArray[np.int64], shares: Floats) -> Floats:
    """The always-valid p-value of the sample ratio [...] of counts [..., k] being the planned `shares` [k]."""
    prior = RATIO_PRIOR * shares / shares.sum()
    planned = np.log(shares / shares.sum())
    total = counts.sum(-1)
    log_factor = (_log_gamma(counts + prior) - _log_gamma(prior + np.zeros_like(counts, np.float64))).sum(-1)
    log_factor = log_factor + math.lgamma(float(prior.sum())) - _log_gamma(total + prior.sum())
    log_factor = log_factor - (counts * planned).sum(-1)
    return np.exp(-np.clip(log_factor, 0.0, _LN_MAX))


def planned_cases(
    variances: Sequence[float], shares: Sequence[float], effect: float, level: float, power: float
) -> tuple[int, float]:
    """(cases of both arms together, variance of the difference then) after which an effect of this size has been seen
    with at least this power; what is seen on the way there comes on top. `variances`, `shares`: of the two arms."""
    quantile = NormalDist().inv_cdf(power)
    low, high = 0.0, (effect / max(quantile, 1e-3)) ** 2 + effect**2
    for _ in range(200):
        middle = (low + high) / 2
        needed = float(half_width(np.float64(middle), effect, level)) + quantile * math.sqrt(middle)  # type: ignore[arg-type]
        low, high = (middle, high) if needed < effect else (low, middle)
    per_case = sum(variance / share for variance, share in zip(variances, shares, strict=True))
    least = math.ceil(MIN_CASES / min(shares))
    return (max(math.ceil(per_case / low), least) if low > 0 else least), low


def _log_gamma(values: Floats) -> Floats:
    """Stirling's series, shifted by eight: to 1e-12 for every argument above zero."""
    shifted = values + 8.0
    product = np.log(values)
    for step in range(1, 8):
        product = product + np.log(values + step)
    inverse = 1.0 / shifted
    series = inverse / 12 - inverse**3 / 360 + inverse**5 / 1260 - inverse**7 / 1680
    return (shifted - 0.5) * np.log(shifted) - shifted + 0.5 * math.log(2 * math.pi) + series - product
