"""How a deployment does: windows and experiments."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from services.monitor.domain.cost import mean_and_variance
from services.monitor.domain.experiment import Arm, compare, winner
from services.monitor.domain.kpi import Kpi, scores_for
from services.monitor.domain.quality import Confusion, confusion
from services.monitor.experiment_showing import summary
from services.monitor.facts import Facts, kpis_of
from services.monitor.reading import Reading, judge_of
from services.monitor.span import Span
from shared.log.tables import Query as Rows
from shared.log.tables import equal
from shared.runtime.http import Call, reading
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import Instant, utc

VersionNumber = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Since = Annotated[Instant | None, Query(alias="from", description="Windows that start at or after this time.")]
Until = Annotated[Instant | None, Query(alias="to", description="Windows that start before this time.")]
MAX_EXPERIMENTS = 100
Limit = Annotated[int, Query(ge=1, le=1_000)]
Cursor = Annotated[Instant | None, Query(description="`next` of the page before.")]


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/windows and /experiments."""
    figures = Reading.of(service, Facts())
    read = reading(service)

    @router.get("/deployments/{name}/windows")
    async def get_windows(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        call: Call = Depends(read),
    ) -> Answer:
        """Windows by start and version, each merged from all that is known now, closed or not."""
        await figures.deployment(name)
        span = Span(name, version, utc(cursor) or utc(since), utc(until))
        items, following = await figures.windows(span, limit)
        return Answer({"items": items, "next": following})

    @router.get("/deployments/{name}/experiments")
    async def get_experiments(
        name: str,
        kpi: Annotated[str | None, Query(max_length=200, description="A cost KPI; default: the first by name.")] = None,
        since: Since = None,
        until: Until = None,
        call: Call = Depends(read),
    ) -> Answer:
        """The champion against every other version with outcomes in the range, on the cost of a case; and as
        `registered` the experiments that were registered before their data, the newest first."""
        row = await figures.deployment(name)
        listed = Rows("experiments", equal(deployment=name), ("-started_at",), MAX_EXPERIMENTS)
        registered = [summary(one) for one in await service.store.find(listed)]
        chosen = _cost_kpi(await kpis_of(service.store, row["model"]), kpi)
        if chosen is None:
            return Answer({"items": [], "next": None, "registered": registered})
        totals = await figures.scores(Span(name, None, utc(since), utc(until)))
        counts: dict[int, Confusion] = {}
        for number, scored in totals.items():
            judge = judge_of(await figures.version(row["model"], number), [chosen], scored.joined)
            found = confusion(scores_for(chosen, scored.joined, judge.column), chosen.threshold)
            if found.cases:
                counts[number] = found
        items = [experiment(chosen, row["traffic"], counts)]
        return Answer({"items": items, "next": None, "registered": registered})


def experiment(kpi: Kpi, traffic: dict[str, Any], counts: dict[int, Confusion]) -> dict[str, Any]:
    """One comparison, as it is answered."""
    champion = traffic["champion"]
    base = Arm(champion, counts.get(champion, Confusion(0, 0, 0, 0, kpi.threshold)))
    others = [compare(kpi.formula, base, Arm(number, found)) for number, found in counts.items() if number != champion]
    mean, _ = mean_and_variance(kpi.formula, base.counts)
    return {
        "kpi": kpi.name,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "threshold": base.counts.threshold,
        "champion": {"version": champion, "cases": base.counts.cases, "mean": mean if base.counts.cases else None},
        "others": [
            {
                "version": one.version,
                "role": _role(traffic, one.version),
                "cases": one.cases,
                "mean": one.mean,
                "difference": one.difference,
                "confidence_interval": None if one.low is None else [one.low, one.high],
                "p_value": one.p_value,
            }
            for one in others
        ],
        "winner": winner(champion, others, kpi.direction),
        "method": "Welch's z test, two-sided, 95 % interval, Bonferroni over the others. Fixed horizon: decide once, "
        "when the number of cases planned beforehand is reached; reading it again and again finds winners by chance.",
    }


def _role(traffic: dict[str, Any], version: int) -> Literal["challenger", "shadow", "former"]:
    if any(share["version"] == version for share in traffic["challengers"]):
        return "challenger"
    return "shadow" if version in traffic["shadows"] else "former"


def _cost_kpi(kpis: list[Kpi], name: str | None) -> Kpi | None:
    costs = [kpi for kpi in kpis if kpi.formula.kind == "cost"]
    if name is None:
        return costs[0] if costs else None
    found = next((kpi for kpi in costs if kpi.name == name), None)
    if found is None:
        names = [kpi.name for kpi in costs]
        raise Problem(404, "unknown-kpi", f"The model's goal has no cost KPI '{name}'.", nearby=names)
    return found
