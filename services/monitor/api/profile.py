"""What the inputs and outputs of a version are like, over any range of its windows."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.monitor.api.windows import Since, Until, VersionNumber
from services.monitor.domain.profile import category_profiles, number_profiles
from services.monitor.domain.sketch import EMPTY
from services.monitor.facts import Facts
from services.monitor.reading import Reading
from services.monitor.span import Span
from shared.runtime.http import Call, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import utc

Top = Annotated[int, Query(ge=1, le=1_000, description="How many of a category's values, the most frequent first.")]


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/profile."""
    figures = Reading.of(service, Facts())
    read = reading(service)

    @router.get("/deployments/{name}/profile")
    async def get_profile(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        top: Top = 20,
        call: Call = Depends(read),
    ) -> Answer:
        """Each column over the range (default version: the champion): rows, missing, least, most, mean, deviation and
        quantiles of numbers, the most frequent values of categories. The windows' states added up, so that any range
        costs no look at a prediction. How exact the figures are: docs/reference/statistics.md."""
        row = await figures.deployment(name)
        number = version if version is not None else row["traffic"]["champion"]
        totals = await figures.total(Span(name, number, utc(since), utc(until)))
        sketch = totals.get(number, EMPTY)
        known = await figures.version(row["model"], number)
        numbers = number_profiles(sketch, known.bins if known is not None else {})
        items: dict[str, dict[str, Any]] = {
            **{column: {"kind": "numeric", **asdict(one)} for column, one in numbers.items()},
            **{
                column: {"kind": "categorical", **asdict(one)} for column, one in category_profiles(sketch, top).items()
            },
        }
        told = [{"column": column, **one} for column, one in sorted(items.items())]
        return Answer({"version": number, "rows": sketch.predictions, "items": told, "next": None})
