"""What of a measured window is over its threshold, and what is close to it, by kind of alert."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.events.monitor import AlertKind, Finding, IntegrityCheck, KpiValue, WindowMeasured

AUC = "domain_classifier_auc"
FOUR_FIFTHS = 0.8
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Level:
    """`near`: anything that is not over, but closer to its threshold than what clears."""

    over: tuple[Finding, ...] = ()
    near: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """The target of a KPI, and which way is better."""

    direction: Literal["lower", "higher"]
    target: float


@dataclass(frozen=True, slots=True)
class Rules:
    """`clear`: the share of a threshold below which a figure counts as calm; `margin`: the share of a target by which
    a KPI must be better than it."""

    psi: float
    auc: float
    clear: float
    margin: float


def levels(
    measured: WindowMeasured, drifted: Iterable[Finding], goals: Mapping[str, Goal], rules: Rules
) -> dict[AlertKind, Level]:
    """The level of each kind that the window tells of. `drifted`: what was said to have drifted in this window; of it
    counts what is still at its threshold in this revision. `goals`: for windows that do not tell them themselves."""
    found: dict[AlertKind, Level] = {}
    if measured.drift or measured.multivariate is not None:
        found["drift"] = _drift(measured, list(drifted), rules)
    checks = [one for one in measured.integrity if one.check != "traffic"]
    if checks:
        found["integrity"] = _checks(checks, rules)
    traffic = [one for one in measured.integrity if one.check == "traffic"]
    if traffic:
        found["traffic"] = _checks(traffic, rules)
    judged = [(one, goal) for one in measured.kpis if (goal := _goal(one, goals)) is not None]
    if judged:
        found["kpi"] = _kpis(judged, rules)
    if measured.fairness:
        found["fairness"] = Level(_adverse(measured))
    return found


def _drift(measured: WindowMeasured, drifted: list[Finding], rules: Rules) -> Level:
    now = [(one, _value(measured, one.name, one.statistic)) for one in drifted]
    over = tuple(one.model_copy(update={"value": value}) for one, value in now if value >= one.threshold)
    near = any(one.psi >= rules.clear * rules.psi for one in measured.drift)
    near = near or any(value >= _calm(one.statistic, one.threshold, rules) for one, value in now)
    together = measured.multivariate
    return Level(over, near or (together is not None and together.auc >= _calm(AUC, rules.auc, rules)))


def _value(measured: WindowMeasured, feature: str, statistic: str) -> float:
    if statistic == AUC:
        return measured.multivariate.auc if measured.multivariate is not None else 0.0
    one = next((one for one in measured.drift if one.feature == feature), None)
    value = getattr(one, statistic, None)
    return float(value) if isinstance(value, int | float) else 0.0


def _calm(statistic: str, threshold: float, rules: Rules) -> float:
    """The value below which a figure is calm; an area under the curve is one half where nothing can be told."""
    return HALF + (threshold - HALF) * rules.clear if statistic == AUC else threshold * rules.clear


def _checks(checks: Iterable[IntegrityCheck], rules: Rules) -> Level:
    over: list[Finding] = []
    near = False
    for one in checks:
        if one.breached:
            over.append(Finding(name=one.subject, statistic=one.check, value=one.value, threshold=one.threshold))
        elif one.check != "traffic" and one.threshold > 0 and one.value >= one.threshold * rules.clear:
            near = True
    return Level(tuple(over), near)


def _goal(one: KpiValue, goals: Mapping[str, Goal]) -> Goal | None:
    """The target that the window was measured against, so that a replay judges it as it was judged."""
    if one.direction is None:
        return goals.get(one.kpi)
    return Goal(one.direction, one.target) if one.target is not None else None


def _kpis(judged: Iterable[tuple[KpiValue, Goal]], rules: Rules) -> Level:
    over: list[Finding] = []
    near = False
    for one, goal in judged:
        worse = one.per_case - goal.target if goal.direction == "lower" else goal.target - one.per_case
        if worse > 0:
            found = Finding(
                name=one.kpi, statistic="per_case", value=one.per_case, threshold=goal.target, unit=one.unit
            )
            over.append(found)
        elif worse > -rules.margin * abs(goal.target):
            near = True
    return Level(tuple(over), near)


def _adverse(measured: WindowMeasured) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            name=f"{one.attribute}: {', '.join(one.adverse)}",
            statistic="selection_ratio",
            value=one.disparities.get("demographic_parity_ratio", 0.0),
            threshold=FOUR_FIFTHS,
        )
        for one in measured.fairness
        if one.adverse
    )
