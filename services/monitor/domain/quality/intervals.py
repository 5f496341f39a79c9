"""95 % confidence intervals from counts and exact sums alone."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# scipy ships no types

import math
from statistics import NormalDist

from scipy import special

from services.monitor.domain.joined import Floats

Interval = tuple[float, float]

Z_95 = NormalDist().inv_cdf(0.975)


def wilson(part: float, whole: float) -> Interval:
    """A share. Source: Wilson 1927, doi:10.1080/01621459.1927.10502953, without continuity correction."""
    if whole <= 0:
        return math.nan, math.nan
    share, square = part / whole, Z_95**2 / whole
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return (0.0 if part == 0 else middle - half), (1.0 if part == whole else middle + half)


def difference(part: int, whole: int, base: int, base_whole: int) -> Interval:
    """One share minus another. Source: Newcombe 1998, method 10 (doi:10.1002/(SICI)1097-0258(19980430)17:8<873)."""
    if not whole or not base_whole:
        return math.nan, math.nan
    one, other = part / whole, base / base_whole
    (low, high), (base_low, base_high) = wilson(part, whole), wilson(base, base_whole)
    down = math.hypot(one - low, base_high - other)
    up = math.hypot(high - one, other - base_low)
    return one - other - down, one - other + up


def ratio(part: int, whole: int, base: int, base_whole: int) -> Interval:
    """One share over another, by the logarithm. Source: Katz et al. 1978, doi:10.2307/2530610; NaN where one is 0."""
    if not part or not base:
        return math.nan, math.nan
    middle = math.log(part / whole) - math.log(base / base_whole)
    half = Z_95 * math.sqrt(max(0.0, 1 / part - 1 / whole + 1 / base - 1 / base_whole))
    return math.exp(middle - half), math.exp(middle + half)


def of_mean(mean: float, variance: float, count: int) -> Interval:
    """A mean by Student's t. Source: Student 1908, doi:10.1093/biomet/6.1.1; NaN below two cases."""
    if count < 2:
        return math.nan, math.nan
    half = t_quantile(count - 1) * math.sqrt(variance / count)
    return mean - half, mean + half


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    return float(special.stdtrit(freedom, 0.975))


def of_f1(true_positives: int, errors: int) -> Interval:
    """F1 = 2J / (1 + J) where J = TP / (TP + FP + FN), a share of the cases that are positive or called so; its Wilson
    interval goes through the same rising function."""
    low, high = wilson(true_positives, true_positives + errors)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def of_auc(negative: Floats, positive: Floats) -> Interval:
    """The area under the ROC curve, from counts by cells of the score.

    Source: DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595, with equal scores counted half. Where that
    finds no variance (classes that do not overlap, or one case of one): Newcombe 2006, method 5, doi:10.1002/sim.2324.
    """
    n, m = float(negative.sum()), float(positive.sum())
    if n <= 0 or m <= 0:
        return math.nan, math.nan
    ranks = (negative.cumsum() - negative / 2) / n
    falls = 1 - (positive.cumsum() - positive / 2) / m
    area = float((positive * ranks).sum() / m)
    variance = 0.0
    if n > 1 and m > 1:
        of_positives = float((positive * (ranks - area) ** 2).sum()) / (m - 1)
        of_negatives = float((negative * (falls - area) ** 2).sum()) / (n - 1)
        variance = of_positives / m + of_negatives / n
    if variance <= 1e-18:
        return _by_score(area, n, m)
    half = Z_95 * math.sqrt(variance)
    return max(0.0, area - half), min(1.0, area + half)


def _by_score(area: float, n: float, m: float) -> Interval:
    """The areas that lie no more than z standard errors, as they would have, from this one."""
    low, high = 0.0 if area == 0 else _end(area, 0.0, n, m), 1.0 if area == 1 else _end(area, 1.0, n, m)
    return low, high


def _end(area: float, outer: float, n: float, m: float) -> float:
    inner = area
    for _ in range(60):
        middle = (inner + outer) / 2
        near = abs(area - middle) <= Z_95 * math.sqrt(_variance(middle, n, m))
        inner, outer = (middle, outer) if near else (inner, middle)
    return inner


def _variance(area: float, n: float, m: float) -> float:
    half = (n + m) / 2 - 1
    more = half * (1 - area) / (2 - area) + half * area / (1 + area)
    return area * (1 - area) * (1 + more) / (n * m)
