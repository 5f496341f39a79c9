"""How the predictions of one version are judged: which output, as which kind of problem, at which threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.monitor.domain.fairness import Group, group_of
from services.monitor.domain.joined import Joined, Scores
from services.monitor.domain.kpi import Kpi, score_column, scores_for, threshold_of, value
from services.monitor.domain.plan import SEGMENT, Known, Plan, resolved
from services.monitor.domain.quality import Quality, quality, scores_of_part
from shared.events.monitor import KpiValue
from shared.events.registry import Protected


@dataclass(frozen=True, slots=True)
class Judge:
    """`column` None: there is no output that can be judged."""

    plan: Plan
    kpis: tuple[Kpi, ...]
    metrics: Mapping[str, float]
    column: str | None

    @classmethod
    def of(cls, plan: Plan, kpis: Sequence[Kpi], metrics: Mapping[str, float], joined: Joined) -> "Judge":
        """Of a version's plan and registered metrics and its model's KPIs; `joined` names outputs where none is
        registered."""
        outputs = [one.name for one in plan.outputs] or list(joined.names)
        return cls(plan, tuple(kpis), metrics, score_column(kpis, outputs))

    @property
    def task(self) -> Known:
        return self.task_of(self.column)

    @property
    def threshold(self) -> float:
        return threshold_of(self.kpis)

    def task_of(self, output: str | None) -> Known:
        """The kind of problem that an output answers."""
        name = output or ""
        return resolved(self.plan.task(name), name, [kpi.formula for kpi in self.kpis], self.metrics)

    def scores(self, joined: Joined, attribute: str = "", group: str | None = "") -> Scores:
        """What is counted of the score, of all predictions or of a group."""
        return scores_of_part(joined, self.column, attribute, group)

    def quality(self, joined: Joined, attribute: str = "", group: str | None = "") -> Quality:
        """The figures of all predictions or of a group."""
        classes = self.plan.classes(self.column or "")
        return quality(self.scores(joined, attribute, group), self.task, self.threshold, classes)

    def groups(self, protected: Protected, joined: Joined) -> list[Group]:
        """The groups of a protected attribute; none where the question is not answered by yes or no."""
        if self.task != "binary":
            return []
        attribute = SEGMENT if protected.feature is None else protected.name
        parts = joined.groups(self.column or "", attribute)
        return [group_of(part.group, joined.parts[part], self.threshold) for part in parts]

    def value(self, kpi: Kpi, joined: Joined, attribute: str = "", group: str | None = "") -> KpiValue | None:
        """One KPI of all predictions or of a group."""
        output = kpi.formula.output or self.column
        scores = scores_for(kpi, joined, self.column, attribute, group)
        return value(kpi, scores, self.task_of(output), self.plan.classes(output or ""))

    def values(self, joined: Joined, attribute: str = "", group: str | None = "") -> list[KpiValue]:
        """Each KPI that can be computed."""
        found = (self.value(kpi, joined, attribute, group) for kpi in self.kpis)
        return [one for one in found if one is not None]
