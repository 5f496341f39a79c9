"""How many flags a deployment has, and what share of its predictions they are."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from shared.log.tables import Query, equal
from shared.runtime.http import Call, reading
from shared.runtime.service import Service

MOST = 100_000


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    seeing = Depends(reading(service))

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
