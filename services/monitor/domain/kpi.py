"""KPIs of joined cases: money by the confusion at a threshold, or a quality metric by its name."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.monitor.domain.figures import figure
from services.monitor.domain.quality import Confusion, confusion, quality
from services.monitor.domain.sketch import Joined
from shared.events.monitor import KpiValue
from shared.events.registry import Formula

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Kpi:
    """A KPI as its owner defined it. `direction`: which way is better; `target`: of the value per case."""

    name: str
    unit: str
    direction: str
    target: float | None
    formula: Formula

    def breached(self, per_case: float) -> bool:
        """Whether the value is on the wrong side of the target."""
        if self.target is None:
            return False
        return per_case > self.target if self.direction == "lower" else per_case < self.target


def score_column(kpis: Sequence[Kpi], outputs: Sequence[str]) -> str | None:
    """The output that is the score: what a KPI names, else the first of the version's number outputs."""
    named = next((kpi.formula.output for kpi in kpis if kpi.formula.output in outputs), None)
    return named if named is not None else next(iter(outputs), None)


def threshold_of(kpis: Sequence[Kpi]) -> float:
    """The threshold at which the business decides, else one half."""
    return next((kpi.formula.threshold for kpi in kpis if kpi.formula.threshold is not None), DEFAULT_THRESHOLD)


def values(kpis: Sequence[Kpi], joined: Joined, column: str | None) -> list[KpiValue]:
    """Each KPI that can be computed from these cases."""
    found = (value(kpi, joined, column) for kpi in kpis)
    return [one for one in found if one is not None]


def value(kpi: Kpi, joined: Joined, column: str | None) -> KpiValue | None:
    """One KPI of these cases; None without cases or without its metric."""
    formula = kpi.formula
    output = formula.output or column
    threshold = DEFAULT_THRESHOLD if formula.threshold is None else formula.threshold
    if formula.kind == "cost":
        counts = confusion(joined, output, threshold)
        if counts is None or not counts.cases:
            return None
        total = cost(formula, counts)
        return _stated(kpi, total, counts.cases, total / counts.cases)
    metric = quality(joined, output, threshold).get(formula.metric or "")
    return None if metric is None else _stated(kpi, metric, joined.outcomes, metric)


def cost(formula: Formula, counts: Confusion) -> float:
    """The money these cases cost, in the KPI's unit."""
    return (
        formula.true_positive * counts.true_positive
        + formula.false_positive * counts.false_positive
        + formula.false_negative * counts.false_negative
        + formula.true_negative * counts.true_negative
    )


def _stated(kpi: Kpi, total: float, cases: int, per_case: float) -> KpiValue:
    return KpiValue(kpi=kpi.name, unit=kpi.unit, total=figure(total), cases=cases, per_case=figure(per_case))
