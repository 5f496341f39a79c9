"""How well predictions met their outcomes, over a range of time, by version and segment."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.monitor.api.windows import Since, Until, VersionNumber
from services.monitor.facts import Facts, kpis_of
from services.monitor.reading import Reading, judge_of
from services.monitor.showing import awaits_outcomes, estimate_of, quality_of, segments_of
from services.monitor.span import Span
from shared.runtime.http import Call, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import utc

Attribute = Annotated[
    str | None,
    Query(max_length=200, description="Groups by this attribute alone: `segment`, or a protected attribute's name."),
]


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/quality."""
    figures = Reading.of(service, Facts())
    read = reading(service)

    @router.get("/deployments/{name}/quality")
    async def get_quality(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        attribute: Attribute = None,
        call: Call = Depends(read),
    ) -> Answer:
        """Quality over the range, by version: exact sums over all its windows, 95 % intervals, and the same of every
        group. `invalid` outcomes are no answer to the version's task; `estimated` is what is to be expected of all
        predictions while outcomes are missing. Each figure's formula and tolerance: docs/reference/quality.md."""
        row = await figures.deployment(name)
        kpis = await kpis_of(service.store, row["model"])
        totals = await figures.scores(Span(name, version, utc(since), utc(until)))
        items: list[dict[str, Any]] = []
        for number, scored in totals.items():
            joined = scored.joined
            judge = judge_of(await figures.version(row["model"], number), kpis, joined)
            item: dict[str, Any] = {"version": number, **quality_of(judge, joined), "estimated": None}
            if awaits_outcomes(judge, joined):
                item["estimated"] = estimate_of(judge, joined, await figures.known_outcomes(name, number))
            items.append(item | {"segments": segments_of(judge, joined, attribute)})
        return Answer({"items": items, "next": None})
