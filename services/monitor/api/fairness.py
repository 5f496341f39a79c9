"""Whether the groups of a protected attribute are treated alike."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from services.monitor.api.asked import version_of
from services.monitor.api.windows import Since, Until, VersionNumber
from services.monitor.facts import Facts, kpis_of
from services.monitor.reading import NOTHING, Reading, judge_of
from services.monitor.showing import fairness_of
from services.monitor.span import Span
from shared.runtime.http import Call, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import utc

Favourable = Annotated[
    Literal["positive", "negative"],
    Query(description="Which call is good for the person: `positive` (granted, invited) or `negative` (spared)."),
]


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/fairness."""
    figures = Reading.of(service, Facts())
    read = reading(service)

    @router.get("/deployments/{name}/fairness")
    async def get_fairness(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        favourable: Favourable = "positive",
        call: Call = Depends(read),
    ) -> Answer:
        """Rates and errors by each protected attribute that the version (default: the champion) was registered with,
        over the range: per group with 95 % intervals, against the reference group, the widest gaps by fairlearn's
        definitions, the four-fifths rule, and a `summary` in words. Of a version without protected attributes there are
        no items."""
        row = await figures.deployment(name)
        number = version_of(row, version)
        known = await figures.version(row["model"], number)
        totals = await figures.scores(Span(name, number, utc(since), utc(until)))
        joined = totals.get(number, NOTHING).joined
        judge = judge_of(known, await kpis_of(service.store, row["model"]), joined)
        items: list[dict[str, Any]] = []
        if known is not None and judge.task == "binary":
            items = [fairness_of(judge, one, joined, favourable) for one in known.judged.protected]
        return Answer({"version": number, "task": judge.task, "items": items, "next": None})
