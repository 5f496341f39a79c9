"""When flags are too many, in number, share, severity or money; and when they were."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from services.feedback.api.bodies import Body
from services.feedback.api.roles import RULERS
from services.feedback.domain import limiting
from services.feedback.domain.limiting import SetLimits
from services.feedback.domain.limits import Level, harm_of
from services.feedback.worker.levels import limits_of
from shared.events.feedback import FlagLimitsSet, Severity
from shared.log.tables import Query, Row, equal
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.service import Service

Limit = Annotated[int, Field(ge=1)]
Positive = Annotated[int, Field(ge=1, le=10**9)]
Money = Annotated[float, Field(ge=0, le=1e15)]


class LimitsBody(Body):
    """A limit left out does not count. `harm`: what one flagged prediction costs, by severity, in `unit`."""

    open_flags: Positive | None = None
    rate: Annotated[float, Field(gt=0, le=1)] | None = None
    rate_rows: Positive = 1_000
    critical: Positive | None = None
    harm: dict[Severity, Money] = Field(default_factory=dict[Severity, Money])
    harm_limit: Annotated[float, Field(gt=0, le=1e15)] | None = None
    unit: Annotated[str, Field(max_length=32)] = ""


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    ruling, seeing = Depends(writing(service, *RULERS)), Depends(reading(service))
    path = "/v1/flag-limits/{deployment}"

    @routes.put(path, status_code=200)
    async def set_limits(deployment: str, body: LimitsBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Say from when on open flags of one version are too many: FlagThresholdBreached is stated when one of the
        limits is reached, and again when it was left meanwhile."""
        limits = FlagLimitsSet(deployment=deployment, **body.model_dump())
        return await call.write(limiting, f"flag-limits/{deployment}", SetLimits(limits), status=200)

    @routes.get(path)
    async def levels(deployment: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """The limits in force, and how much of each version is open: flags, predictions they stand for, critical flags
        and estimated harm. What was never set is as the settings say."""
        kept = await service.store.get("limits", deployment)
        limits = limits_of(kept, deployment, service.settings)
        rows = await service.store.find(Query("levels", equal(deployment=deployment), ("version",), 1_000))
        said = limits.model_dump(mode="json")
        return {"deployment": deployment, "limits": said, "versions": [_level(row, limits) for row in rows]}

    @routes.get("/v1/breaches")
    async def breaches(
        call: Annotated[Call, seeing], deployment: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Limits that were reached, the newest first."""
        where = equal(deployment=deployment) if deployment is not None else ()
        return await page(service, Query("breaches", where, ("-at",), limit), cursor)


def _level(row: Row, limits: FlagLimitsSet) -> dict[str, Any]:
    level = Level(row["flags"], row["open_flags"], row["critical"], row["by_severity"])
    harm = harm_of(limits, level) if limits.harm else None
    named = ("version", "flags", "open_flags", "critical", "by_severity")
    return {**{name: row[name] for name in named}, "harm": harm, "unit": limits.unit or None}
