"""KPIs of joined cases: money by the confusion at a threshold, a quality metric by name, or a formula of metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.monitor.domain.cost import cost
from services.monitor.domain.figures import figure
from services.monitor.domain.joined import Joined, Scores
from services.monitor.domain.plan import Known
from services.monitor.domain.quality import Quality, confusion, quality, scores_of_part
from shared.events.expression import value_of
from shared.events.monitor import KpiValue
from shared.events.registry import Formula

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Kpi:
    """A KPI as its owner defined it. `direction`: which way is better; `target`: of the value per case."""

    name: str
    unit: str
    direction: Literal["lower", "higher"]
    target: float | None
    formula: Formula

    @property
    def threshold(self) -> float:
        return DEFAULT_THRESHOLD if self.formula.threshold is None else self.formula.threshold

    def breached(self, per_case: float) -> bool:
        """Whether the value is on the wrong side of the target."""
        if self.target is None:
            return False
        return per_case > self.target if self.direction == "lower" else per_case < self.target


def score_column(kpis: Sequence[Kpi], outputs: Sequence[str]) -> str | None:
    """The output that is the score: what a KPI names, else the first of the version's outputs that can be judged."""
    named = next((kpi.formula.output for kpi in kpis if kpi.formula.output in outputs), None)
    return named if named is not None else next(iter(outputs), None)


def threshold_of(kpis: Sequence[Kpi]) -> float:
    """The threshold at which the business decides, else one half."""
    return next((kpi.formula.threshold for kpi in kpis if kpi.formula.threshold is not None), DEFAULT_THRESHOLD)


def value(kpi: Kpi, scores: Scores, task: Known, classes: Sequence[str] = ()) -> KpiValue | None:
    """One KPI of the cases of a part; None without cases, without its metric, or where its kind does not fit the
    task."""
    formula = kpi.formula
    if formula.kind == "cost":
        if task != "binary":
            return None
        counts = confusion(scores, kpi.threshold)
        return _of_total(kpi, cost(formula, counts), counts.cases) if counts.cases else None
    found = quality(scores, task, kpi.threshold, classes)
    if not found.cases:
        return None
    if formula.kind == "metric":
        metric = found.figures.get(formula.metric or "")
        return None if metric is None else _stated(kpi, metric, found.cases, metric)
    total = value_of(formula.expression or "", named(scores, found))
    return None if total is None else _of_total(kpi, total, found.cases)


def named(scores: Scores, found: Quality) -> dict[str, float]:
    """What a formula may name: the figures of the part, and how many predictions, outcomes and cases it has."""
    counts = {name: float(scores.tally(name)) for name in ("predictions", "outcomes")}
    return {**found.figures, **counts, "cases": float(found.cases)}


def scores_for(kpi: Kpi, joined: Joined, column: str | None, attribute: str = "", group: str | None = "") -> Scores:
    """The part of the output that a KPI speaks of."""
    return scores_of_part(joined, kpi.formula.output or column, attribute, group)


def _of_total(kpi: Kpi, total: float, cases: int) -> KpiValue:
    return _stated(kpi, total, cases, total / cases)


def _stated(kpi: Kpi, total: float, cases: int, per_case: float) -> KpiValue:
    return KpiValue(
        kpi=kpi.name,
        unit=kpi.unit,
        total=figure(total),
        cases=cases,
        per_case=figure(per_case),
        direction=kpi.direction,
        target=kpi.target,
    )
