"""What the views hold of an experiment's arms, as its judge wants it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.monitor.domain.experiment_judging import Arms, Observed, arms_of
from services.monitor.domain.joined import Part
from services.monitor.domain.judging import Judge
from services.monitor.domain.kpi import Kpi, scores_for
from services.monitor.domain.quality import Confusion, confusion
from services.monitor.reading import Reading, Scored, judge_of
from services.monitor.span import Span
from shared.events.monitor import ExperimentStarted
from shared.events.registry import Formula
from shared.log.tables import Query, equal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHARE_ERROR = 1e-6


def window_from(at: datetime, seconds: int) -> datetime:
    """The start of the first window that begins at `at` or later."""
    length = timedelta(seconds=seconds)
    return _EPOCH + -((_EPOCH - at) // length) * length


def window_of(at: datetime, seconds: int) -> datetime:
    """The start of the window in which `at` lies."""
    return _EPOCH + (at - _EPOCH) // timedelta(seconds=seconds) * timedelta(seconds=seconds)


def shares_of(traffic: Mapping[str, Any], versions: Sequence[int]) -> dict[int, float]:
    """The share of each version of the traffic of all of them together; 0 of those that have none."""
    percents = {one["version"]: one["percent"] for one in traffic["challengers"]}
    percents[traffic["champion"]] = 100.0 - sum(percents.values())
    total = sum(percents.get(version, 0.0) for version in versions)
    return {version: percents.get(version, 0.0) / total if total else 0.0 for version in versions}


def as_planned(plan: ExperimentStarted, traffic: Mapping[str, Any]) -> bool:
    """Whether the arms still have the shares that were registered."""
    shares = shares_of(traffic, [one.version for one in arms_of(plan)])
    return all(abs(shares[one.version] - one.share) <= SHARE_ERROR for one in arms_of(plan))


@dataclass(frozen=True, slots=True)
class Measured:
    """The arms of an experiment, of all cases and of each group of its attribute."""

    arms: Arms
    segments: Mapping[str | None, Arms]


def kpi_of_plan(plan: ExperimentStarted, name: str = "", formula: Formula | None = None) -> Kpi:
    """The experiment's KPI as it was registered, or that of a guardrail."""
    return Kpi(name or plan.kpi, plan.unit, plan.direction, None, formula or plan.formula)


async def measured(
    figures: Reading, plan: ExperimentStarted, until: datetime | None = None, segments: bool = False
) -> Measured:
    """All that was counted for the experiment; with `segments` by group, too."""
    totals = await figures.scores(Span(plan.deployment, None, plan.counts_from, until))
    versions = [one.version for one in arms_of(plan)]
    arms: dict[int, Observed] = {}
    groups: dict[str | None, dict[int, Observed]] = {}
    for number in versions:
        scored = totals.get(number)
        if scored is None:
            continue
        judge = judge_of(await figures.version(plan.model, number), [kpi_of_plan(plan)], scored.joined)
        arms[number] = _observed(plan, judge, scored)
        if segments:
            for part in scored.joined.groups(plan.formula.output or judge.column or "", plan.attribute):
                groups.setdefault(part.group, {})[number] = _observed(plan, judge, scored, part)
    return Measured(arms, groups)


async def closed_until(figures: Reading, plan: ExperimentStarted) -> datetime:
    """The end of the last closed window of the deployment; the experiment's begin where none is closed."""
    columns = ("window_start", "window_end")
    query = Query("measured_windows", equal(deployment=plan.deployment), ("-window_end",), 1, columns=columns)
    rows = await figures.store.find(query)
    return max(rows[0]["window_end"], plan.counts_from) if rows else plan.counts_from


async def cases_before(figures: Reading, plan: ExperimentStarted, days: int) -> Confusion | None:
    """The control's cases of so many days before the experiment."""
    since = plan.counts_from - timedelta(days=days)
    totals = await figures.scores(Span(plan.deployment, plan.control.version, since, plan.counts_from))
    scored = totals.get(plan.control.version)
    if scored is None:
        return None
    judge = judge_of(await figures.version(plan.model, plan.control.version), [kpi_of_plan(plan)], scored.joined)
    return confusion(scores_for(kpi_of_plan(plan), scored.joined, judge.column), kpi_of_plan(plan).threshold)


def _observed(plan: ExperimentStarted, judge: Judge, scored: Scored, part: Part | None = None) -> Observed:
    attribute, group = (part.attribute, part.group) if part is not None else ("", "")

    def counted(kpi: Kpi) -> Confusion:
        return confusion(scores_for(kpi, scored.joined, judge.column, attribute, group), kpi.threshold)

    quality = judge.quality(scored.joined, attribute, group)
    predictions = (
        scored.predictions if part is None else judge.scores(scored.joined, attribute, group).tally("predictions")
    )
    guarded = {
        one.name: counted(kpi_of_plan(plan, one.name, one.formula))
        for one in plan.guardrails
        if one.formula is not None
    }
    return Observed(predictions, counted(kpi_of_plan(plan)), guarded, quality.figures, quality.intervals)
