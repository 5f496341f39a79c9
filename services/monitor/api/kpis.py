"""What a deployment is worth: its model's KPIs in their own unit, against target, doing nothing, and the champion."""

from typing import Any

from fastapi import APIRouter, Depends

from services.monitor.api.quality import Attribute
from services.monitor.api.windows import Since, Until, VersionNumber
from services.monitor.domain.joined import Joined
from services.monitor.domain.judging import Judge
from services.monitor.domain.kpi import Kpi, scores_for
from services.monitor.domain.quality import Confusion, confusion
from services.monitor.facts import Facts, kpis_of
from services.monitor.reading import Reading, judge_of
from services.monitor.showing import OTHERS, business_of, kpi_of, summary_of
from services.monitor.span import Span
from shared.runtime.http import Call, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import utc


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/kpis."""
    figures = Reading.of(service, Facts())
    read = reading(service)

    @router.get("/deployments/{name}/kpis")
    async def get_kpis(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        attribute: Attribute = None,
        call: Call = Depends(read),
    ) -> Answer:
        """KPIs of the model's goal over the range, by version and group, in their unit and against target, with a
        `summary` in words.

        A cost KPI also tells what each kind of case cost, what the same cases had cost without any action (`never`),
        with action in every case (`always`), at the best threshold in hindsight and with perfect foresight, and how it
        compares with the champion's cases of the same range.
        """
        row = await figures.deployment(name)
        kpis = await kpis_of(service.store, row["model"])
        champion = row["traffic"]["champion"]
        totals = await figures.scores(Span(name, None, utc(since), utc(until)))
        judges = {
            number: judge_of(await figures.version(row["model"], number), kpis, scored.joined)
            for number, scored in totals.items()
        }
        items: list[dict[str, Any]] = []
        for number, scored in totals.items():
            if version not in (None, number):
                continue
            base = {"version": number, "predictions": scored.predictions, "outcomes": scored.joined.outcomes}
            for kpi in kpis:
                found = kpi_of(judges[number], kpi, scored.joined)
                if found is None:
                    continue
                other = totals[champion].joined if champion in totals and champion != number else None
                counts = None if other is None else _cases(kpi, judges[champion], other)
                told = business_of(judges[number], kpi, scored.joined, counts)
                segments = _segments(judges[number], kpi, scored.joined, attribute)
                words = {"summary": summary_of(kpi, found, told)}
                items.append(base | words | found | told | {"segments": segments})
        return Answer({"items": items, "next": None})


def _cases(kpi: Kpi, judge: Judge, joined: Joined) -> Confusion | None:
    counts = confusion(scores_for(kpi, joined, judge.column), kpi.threshold)
    return counts if counts.cases else None


def _segments(judge: Judge, kpi: Kpi, joined: Joined, attribute: str | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for name in joined.attributes() if attribute is None else (attribute,):
        for part in joined.groups(kpi.formula.output or judge.column or "", name):
            found = kpi_of(judge, kpi, joined, part)
            if found is not None:
                told = {"attribute": name, "group": OTHERS if part.group is None else part.group}
                items.append(told | {key: found[key] for key in ("total", "cases", "per_case", "met")})
    return items
