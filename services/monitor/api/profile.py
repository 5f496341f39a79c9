"""What the inputs and outputs of a version are like, over any range of its windows."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.monitor.api.asked import asked
from services.monitor.api.windows import Since, Until, VersionNumber
from services.monitor.domain.profile import category_profiles, number_profiles
from services.monitor.facts import Facts
from services.monitor.reading import Reading
from shared.runtime.http import Call, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service

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
        found = await asked(figures, name, version, since, until)
        numbers = number_profiles(found.sketch, found.known.bins if found.known is not None else {})
        categories = category_profiles(found.sketch, top)
        items: dict[str, dict[str, Any]] = {
            **{column: {"kind": "numeric", **asdict(one)} for column, one in numbers.items()},
            **{column: {"kind": "categorical", **asdict(one)} for column, one in categories.items()},
        }
        told = [{"column": column, **one} for column, one in sorted(items.items())]
        return Answer({"version": found.version, "rows": found.sketch.predictions, "items": told, "next": None})
