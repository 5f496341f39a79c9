"""How many flags a deployment has, and what share of its predictions they are."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.feedback.domain.rates import rates
from shared.log.tables import Query, equal
from shared.runtime.http import Call, reading
from shared.runtime.service import Service

MOST = 100_000


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    seeing = Depends(reading(service))

    @routes.get("/v1/rates")
    async def flag_rates(
        call: Annotated[Call, seeing], deployment: str, version: int | None = None, rule: str | None = None
    ) -> dict[str, Any]:
        """What share of a deployment's predictions is flagged: altogether, by version, by segment and by category, each
        with Wilson's interval at 95 %. `rule`: by the flags of one business rule alone."""
        where = equal(deployment=deployment) + (equal(version=version) if version is not None else ())
        by = equal(rule=rule) if rule is not None else ()
        columns = ("version", "state", "category", "predictions", "segment", "segments")
        flags = await service.store.find(Query("flags", (*where, *by), ("-raised_at",), MOST, columns=columns))
        named = ("version", "segment", "predictions")
        volumes = await service.store.find(Query("volumes", where, limit=MOST, columns=named))
        return {"deployment": deployment, **rates(flags, volumes)}

    @routes.get("/v1/flags:summary")
    async def summary(call: Annotated[Call, seeing], deployment: str) -> dict[str, Any]:
        """How many flags a deployment has by version, state, severity and category; the newest 100,000 are counted.
        `predictions`: how many predictions they stand for."""
        columns = ("version", "state", "severity", "category")
        query = Query("flags", equal(deployment=deployment), limit=MOST, columns=(*columns, "predictions"))
        rows = await service.store.find(query)
        counts = {name: dict(Counter(str(row[name]) for row in rows)) for name in columns}
        predictions = sum(row["predictions"] or 0 for row in rows)
        by = {f"by_{name}": counts[name] for name in columns}
        return {"deployment": deployment, "flags": len(rows), "predictions": predictions, **by}
