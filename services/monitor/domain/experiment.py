"""Champion against others on what a case costs: a fixed-horizon test, to be read once, when enough cases are in."""

import math
from dataclasses import dataclass

from services.monitor.domain.cost import mean_and_variance
from services.monitor.domain.figures import figure
from services.monitor.domain.quality import Confusion
from services.monitor.domain.quality.intervals import Z_95
from shared.events.registry import Formula

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Arm:
    """One version's cases at the KPI's threshold."""

    version: int
    counts: Confusion


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another version minus the champion, per case. `p_value` two-sided; None where nothing can be said yet."""

    version: int
    cases: int
    mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None


def compare(formula: Formula, champion: Arm, other: Arm) -> Comparison:
    """Welch's test in its large-sample (normal) form. Source: Welch 1947, doi:10.1093/biomet/34.1-2.28."""
    mean, variance = mean_and_variance(formula, other.counts)
    base, base_variance = mean_and_variance(formula, champion.counts)
    difference = mean - base
    if not math.isfinite(difference) or math.isnan(variance + base_variance):
        return Comparison(other.version, other.counts.cases, _known(mean), _known(difference), None, None, None)
    error = math.sqrt(variance / other.counts.cases + base_variance / champion.counts.cases)
    p_value = math.erfc(abs(difference) / error / math.sqrt(2)) if error > 0 else (1.0 if difference == 0 else 0.0)
    return Comparison(
        other.version,
        other.counts.cases,
        figure(mean),
        figure(difference),
        figure(difference - Z_95 * error),
        figure(difference + Z_95 * error),
        figure(p_value),
    )


def winner(champion: int, comparisons: list[Comparison], direction: str) -> int | None:
    """The version that won, or None. With m others each test has the level 5 % / m (Bonferroni).

    The best of those significantly better than the champion; the champion where all are significantly worse.
    """
    sign = 1 if direction == "lower" else -1
    level = LEVEL / max(len(comparisons), 1)
    told = [one for one in comparisons if one.p_value is not None and one.difference is not None]
    sure = [(sign * one.difference, one.version) for one in told if one.p_value < level and one.difference]  # type: ignore[operator]
    better = [pair for pair in sure if pair[0] < 0]
    if better:
        return min(better)[1]
    return champion if comparisons and len(sure) == len(comparisons) else None


def _known(value: float) -> float | None:
    return figure(value) if math.isfinite(value) else None
