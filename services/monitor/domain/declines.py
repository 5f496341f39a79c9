"""Whether quality got worse: a window's figures against the registered ones, windows before, the champion's and bounds.

A figure has fallen where it is worse than its base by more than a tolerance, and chance does not explain it: the 95 %
interval of the difference leaves out 0. That interval comes from those of both (MOVER: Zou and Donner 2008,
doi:10.1002/sim.3095); a registered figure counts as known exactly. A declared bound is a bound: it asks for no test.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.monitor.domain.figures import figure
from services.monitor.domain.levels import Level
from shared.events.monitor import Finding, WindowMeasured

_LABELS = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "mcc")
_CLASSES = ("macro_precision", "macro_recall", "macro_f1", "weighted_f1")
SHARES_HIGH = frozenset(("auc", "r2", *_LABELS, *_CLASSES))
"""The more the better; a fall is told in points."""

SHARES_LOW = frozenset(("ece", "false_positive_rate", "false_negative_rate"))
ERRORS = frozenset(("log_loss", "brier", "mae", "mse", "rmse"))
"""The less the better; growth is told as a share of the base."""

BIAS, ACCURACY = "bias", "accuracy"
FIGURES = SHARES_HIGH | SHARES_LOW | ERRORS | {BIAS}
WATCHED = frozenset(("auc", "log_loss", "brier", "ece", "mae", "rmse", BIAS))
"""What is compared with windows before and with the champion; of several classes it is the accuracy."""


@dataclass(frozen=True, slots=True)
class Told:
    """Figures by name with their 95 % intervals, of so many cases. `estimated`: before outcomes came."""

    cases: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Sequence[float]]
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Base:
    """What a window is compared with. `against`: reference, past or champion; `watched`: the figures that count."""

    against: str
    told: Told
    watched: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`fall`: points by which a share may be worse; `growth`: share of its base by which an error may be, and of the
    base's mean error a bias; `clear` and `margin`: as in `levels.Rules`; `bounds`: the worst that a figure may be."""

    fall: float
    growth: float
    clear: float
    margin: float
    bounds: Mapping[str, float]


def measured_quality(measured: WindowMeasured, least: int) -> Told | None:
    """What outcomes say of a window; None of fewer than `least` cases."""
    cases = measured.outcomes - measured.invalid - measured.unscored
    return Told(cases, measured.quality, measured.intervals) if cases >= least and measured.quality else None


def estimated_quality(measured: WindowMeasured) -> Told | None:
    """What is to be expected of a window whose outcomes have yet to come."""
    if not measured.estimated:
        return None
    return Told(measured.predictions, measured.estimated, measured.estimated_intervals, estimated=True)


def bases_of(registered: Mapping[str, float], past: Sequence[Told], champion: Told | None) -> list[Base]:
    """What a window is compared with, as far as it is known."""
    found = [Base("reference", Told(0, registered, {}), FIGURES)] if registered else []
    known = [("past", pooled(past) if past else None), ("champion", champion)]
    return found + [Base(against, one, _watched(one)) for against, one in known if one is not None]


def pooled(windows: Sequence[Told]) -> Told:
    """The mean of each figure that is compared and that all of these windows have, by cases, with its interval."""
    names = (WATCHED | {ACCURACY}).intersection(*(set(one.figures) & set(one.intervals) for one in windows))
    total = sum(one.cases for one in windows)
    shares = [one.cases / total for one in windows]
    figures: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for name in names:
        mean = sum(share * one.figures[name] for share, one in zip(shares, windows, strict=True))
        down, up = (
            math.hypot(
                *(s * (one.intervals[name][end] - one.figures[name]) for s, one in zip(shares, windows, strict=True))
            )
            for end in (0, 1)
        )
        figures[name], intervals[name] = mean, (mean - down, mean + up)
    return Told(total, figures, intervals)


def declined(now: Told, bases: Iterable[Base], tolerance: Tolerance) -> Level | None:
    """What fell, and whether anything else is too close to that to be calm; None where nothing could be compared."""
    told = [_bounded(now, name, bound, tolerance) for name, bound in tolerance.bounds.items() if name in now.figures]
    for base in bases:
        names = base.watched & now.figures.keys() & now.intervals.keys() & base.told.figures.keys()
        told += [one for name in sorted(names) if (one := _compared(now, base, name, tolerance)) is not None]
    if not told:
        return None
    return Level(tuple(finding for finding, _ in told if finding is not None), any(near for _, near in told))


def _compared(now: Told, base: Base, name: str, tolerance: Tolerance) -> tuple[Finding | None, bool] | None:
    """(what is over, whether it is close to that); None where the base says nothing of how far is far."""
    value, was = now.figures[name], base.told.figures[name]
    allowed = _allowed(name, base.told.figures, tolerance)
    if allowed is None:
        return None
    low, high = _difference(now, base.told, name)
    if name == BIAS:
        worse, sure = abs(value) - abs(was), low > 0 or high < 0
        threshold = math.copysign(abs(was) + allowed, value)
    elif name in SHARES_HIGH:
        worse, sure, threshold = was - value, high < 0, was - allowed
    else:
        worse, sure, threshold = value - was, low > 0, was + allowed
    if worse > allowed and sure:
        return _finding(now, name, base.against, figure(threshold), figure(was)), False
    return None, worse > allowed * tolerance.clear


def _bounded(now: Told, name: str, bound: float, tolerance: Tolerance) -> tuple[Finding | None, bool]:
    value = abs(now.figures[name]) if name == BIAS else now.figures[name]
    worse = bound - value if name in SHARES_HIGH else value - bound
    if worse > 0:
        return _finding(now, name, "bound", bound, None), False
    return None, worse > -tolerance.margin * abs(bound)


def _allowed(name: str, base: Mapping[str, float], tolerance: Tolerance) -> float | None:
    """How much worse than its base a figure may be, in its own unit."""
    if name == BIAS:
        size = base.get("mae", base.get("rmse"))
        return None if size is None else tolerance.growth * size
    return tolerance.growth * base[name] if name in ERRORS else tolerance.fall


def _difference(now: Told, base: Told, name: str) -> tuple[float, float]:
    """The 95 % interval of now minus base."""
    value, was = now.figures[name], base.figures[name]
    low, high = now.intervals[name]
    was_low, was_high = base.intervals.get(name, (was, was))
    distance = value - was
    return distance - math.hypot(value - low, was_high - was), distance + math.hypot(high - value, was - was_low)


def _finding(now: Told, name: str, against: str, threshold: float, base: float | None) -> Finding:
    return Finding(
        name=name,
        statistic=against,
        value=now.figures[name],
        threshold=threshold,
        base=base,
        estimated=now.estimated,
    )


def _watched(told: Told) -> frozenset[str]:
    """Accuracy moves with the share of positives, so it counts only where it is the one figure with an interval."""
    return WATCHED if WATCHED & told.figures.keys() else frozenset((ACCURACY,))
