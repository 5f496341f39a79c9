"""How figures of quality are told: names, values, how sure they are, and what could not be used."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.monitor.domain.figures import figure
from services.monitor.domain.plan import Known
from services.monitor.domain.quality.intervals import Interval


def _no_figures() -> dict[str, float]:
    return {}


def _no_intervals() -> dict[str, Interval]:
    return {}


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the `cases` that could be judged. `invalid`: outcomes that are no answer to the task; `unscored`: outcomes
    that are, of predictions without a usable score. `bounds`: how far a figure may lie from the exact one, if at all.
    """

    task: Known
    cases: int = 0
    invalid: int = 0
    unscored: int = 0
    figures: Mapping[str, float] = field(default_factory=_no_figures)
    intervals: Mapping[str, Interval] = field(default_factory=_no_intervals)
    bounds: Mapping[str, float] = field(default_factory=_no_figures)


def known(values: Mapping[str, float]) -> dict[str, float]:
    """The figures that exist, rounded as all figures are."""
    return {name: figure(value) for name, value in values.items() if math.isfinite(value)}


def known_intervals(values: Mapping[str, Interval]) -> dict[str, Interval]:
    """The intervals that exist."""
    return {
        name: (figure(low), figure(high))
        for name, (low, high) in values.items()
        if math.isfinite(low) and math.isfinite(high)
    }


def share(part: float, whole: float) -> float:
    """NaN of nothing."""
    return part / whole if whole else math.nan
