"""What an experiment's cases say, and whether that decides it. At any time, as often as one likes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from services.monitor.domain import experiment_statistics as statistics
from services.monitor.domain.figures import figure
from services.monitor.domain.quality import Confusion
from shared.events.monitor import ArmResult, ExperimentArm, ExperimentStarted, Guardrail, Verdict
from shared.events.registry import Formula


def _no_figures() -> dict[str, float]:
    return {}


def _no_intervals() -> dict[str, tuple[float, float]]:
    return {}


def _no_counts() -> dict[str, Confusion]:
    return {}


@dataclass(frozen=True, slots=True)
class Observed:
    """One arm so far: its cases by the experiment's KPI, by the KPIs of guardrails, and its quality with intervals."""

    predictions: int
    counts: Confusion
    guarded: Mapping[str, Confusion] = field(default_factory=_no_counts)
    figures: Mapping[str, float] = field(default_factory=_no_figures)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=_no_intervals)


class Breach(NamedTuple):
    version: int
    guardrail: Guardrail
    value: float
    cases: int


class Decided(NamedTuple):
    verdict: Verdict
    version: int | None
    reason: str


NOTHING = Observed(0, Confusion(0, 0, 0, 0, 0.5))
Arms = Mapping[int, Observed]


def arms_of(plan: ExperimentStarted) -> tuple[ExperimentArm, ...]:
    """The control, then the treatments."""
    return (plan.control, *plan.treatments)


def results(plan: ExperimentStarted, arms: Arms, looks: int = 1) -> tuple[ArmResult, ...]:
    """Each arm against the control. The level is shared by the treatments, and by `looks` (such as segments) at once
    (Bonferroni)."""
    level = plan.level / (len(plan.treatments) * looks)
    control = arms.get(plan.control.version, NOTHING)
    base = ArmResult(
        version=plan.control.version,
        predictions=control.predictions,
        cases=control.counts.cases,
        mean=_mean(plan.formula, control.counts),
    )
    return (
        base,
        *(_against(plan, level, one.version, arms.get(one.version, NOTHING), control) for one in plan.treatments),
    )


def sample_ratio(plan: ExperimentStarted, arms: Arms) -> float:
    """The always-valid p-value of the arms having got the planned shares of the predictions."""
    planned = arms_of(plan)
    counts = np.array([arms.get(one.version, NOTHING).predictions for one in planned], np.int64)
    return float(statistics.ratio_p_value(counts, np.array([one.share for one in planned])))


def breaches(plan: ExperimentStarted, arms: Arms) -> list[Breach]:
    """Guardrails that treatments surely break; all guardrails together do so by chance with probability `level`."""
    found: list[Breach] = []
    control = arms.get(plan.control.version, NOTHING)
    level = plan.level / max(len(plan.treatments) * len(plan.guardrails), 1)
    for treatment in plan.treatments:
        arm = arms.get(treatment.version, NOTHING)
        for guardrail in plan.guardrails:
            value = _broken(plan, guardrail, level, arm, control)
            if value is not None:
                found.append(Breach(treatment.version, guardrail, value, arm.counts.cases))
    return found


def decided(plan: ExperimentStarted, told: Sequence[ArmResult], ratio: float) -> Decided | None:
    """How the experiment ends by these figures; None while it goes on."""
    if ratio < statistics.RATIO_LEVEL:
        return Decided("invalid", None, _mismatch(plan, told, ratio))
    sign = 1 if plan.direction == "lower" else -1
    ends = [
        (one, sorted((sign * one.low, sign * one.high)))
        for one in told[1:]
        if one.low is not None and one.high is not None
    ]
    better = [(ends_[1], one) for one, ends_ in ends if ends_[1] < 0]
    if better:
        best = min(better, key=lambda pair: (sign * (pair[1].difference or 0.0), pair[1].version))[1]
        return Decided("treatment", best.version, _words(plan, best, "better"))
    if len(ends) == len(told) - 1 and all(ends_[0] > 0 for _, ends_ in ends):
        return Decided("control", plan.control.version, "; ".join(_words(plan, one, "worse") for one, _ in ends))
    inside = all(-plan.minimum_effect < ends_[0] and ends_[1] < plan.minimum_effect for _, ends_ in ends)
    if len(ends) == len(told) - 1 and inside:
        return Decided("equivalent", None, f"No difference reaches {plan.minimum_effect:g} {plan.unit} a case.")
    if plan.planned_cases is not None and sum(one.cases for one in told) >= plan.planned_cases:
        return Decided("inconclusive", None, f"The {plan.planned_cases:,} planned cases are in and decide nothing.")
    return None


def planned_cases(plan: ExperimentStarted, before: Confusion | None) -> int | None:
    """Cases of all arms together for the plan's power, given cases of the control from before; None with too few."""
    if before is None or before.cases < statistics.MIN_CASES:
        return None
    _, _, variance = statistics.moments(_counts(before), _costs(plan.formula))
    level = plan.level / len(plan.treatments)
    most = 0
    for one in plan.treatments:
        both = one.share + plan.control.share
        shares = (plan.control.share / both, one.share / both)
        pair = (float(variance), float(variance))
        cases, _ = statistics.planned_cases(pair, shares, plan.minimum_effect, level, plan.power)
        most = max(most, math.ceil(cases / both))
    return most


def _against(plan: ExperimentStarted, level: float, version: int, arm: Observed, control: Observed) -> ArmResult:
    mean, base = _mean(plan.formula, arm.counts), _mean(plan.formula, control.counts)
    told = ArmResult(version=version, predictions=arm.predictions, cases=arm.counts.cases, mean=mean)
    if mean is None or base is None:
        return told
    squared = _squared(plan.formula, arm.counts, control.counts)
    update: dict[str, float] = {"difference": figure(mean - base)}
    if math.isfinite(squared):
        width = float(statistics.half_width(np.float64(squared), plan.minimum_effect, level))  # type: ignore[arg-type]
        chance = statistics.p_value(np.float64(mean - base), np.float64(squared), plan.minimum_effect)  # type: ignore[arg-type]
        update |= {
            "low": figure(mean - base - width),
            "high": figure(mean - base + width),
            "p_value": figure(float(chance)),
        }
    return told.model_copy(update=update)


def _broken(
    plan: ExperimentStarted, guardrail: Guardrail, level: float, arm: Observed, control: Observed
) -> float | None:
    """The value that breaks a guardrail for sure; None where it holds, or too little is known."""
    if arm.counts.cases < statistics.MIN_CASES:
        return None
    sign = 1 if guardrail.direction == "lower" else -1
    if guardrail.formula is None:
        value = arm.figures.get(guardrail.name)
        if value is None:
            return None
        nearest = min(sign * end for end in arm.intervals.get(guardrail.name, (value, value)))
        return figure(value) if nearest > sign * guardrail.limit else None
    mine, theirs = arm.guarded.get(guardrail.name), control.guarded.get(guardrail.name)
    if mine is None or theirs is None:
        return None
    squared = _squared(guardrail.formula, mine, theirs)
    mean, base = _mean(guardrail.formula, mine), _mean(guardrail.formula, theirs)
    if mean is None or base is None or not math.isfinite(squared):
        return None
    effect = guardrail.limit if guardrail.limit > 0 else plan.minimum_effect  # fixed before any data
    width = float(statistics.half_width(np.float64(squared), effect, level))  # type: ignore[arg-type]
    return figure(mean - base) if sign * (mean - base) - width > guardrail.limit else None


def _squared(formula: Formula, mine: Confusion, theirs: Confusion) -> float:
    costs = _costs(formula)
    cases, _, variance = statistics.moments(_counts(mine), costs)
    base_cases, _, base_variance = statistics.moments(_counts(theirs), costs)
    return float(statistics.squared_error(cases, variance, base_cases, base_variance))


def _mean(formula: Formula, counts: Confusion) -> float | None:
    if not counts.cases:
        return None
    return figure(float(statistics.moments(_counts(counts), _costs(formula))[1]))


def _counts(counts: Confusion) -> statistics.Floats:
    cells = (counts.true_positive, counts.false_positive, counts.false_negative, counts.true_negative)
    return np.array(cells, np.float64)


def _costs(formula: Formula) -> statistics.Floats:
    each = (formula.true_positive, formula.false_positive, formula.false_negative, formula.true_negative)
    return np.array(each, np.float64)


def _words(plan: ExperimentStarted, one: ArmResult, word: str) -> str:
    low, high = sorted((abs(one.low or 0.0), abs(one.high or 0.0)))
    return (
        f"Version {one.version} is {word} than version {plan.control.version} by {low:.4g} to {high:.4g} "
        f"{plan.unit} a case ({one.cases:,} cases; the least that matters is {plan.minimum_effect:g})."
    )


def _mismatch(plan: ExperimentStarted, told: Sequence[ArmResult], ratio: float) -> str:
    total = max(sum(one.predictions for one in told), 1)
    parts = [
        f"version {one.version} {got.predictions / total:.2%} instead of {one.share:.2%}"
        for one, got in zip(arms_of(plan), told, strict=True)
    ]
    return f"Sample ratio mismatch (p = {ratio:.2g}): {', '.join(parts)}. Find out who is left out, then start again."
