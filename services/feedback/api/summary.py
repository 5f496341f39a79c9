"""How many flags a deployment has, and what share of its predictions they are."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.feedback.domain.agreement import trust
from services.feedback.domain.rates import counts, rates
from shared.log.tables import Query, Row, equal
from shared.runtime.http import Call, reading
from shared.runtime.service import Service

MOST = 100_000


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    seeing = Depends(reading(service))

    @routes.get("/v1/rates")
    async def flag_rates(
        call: Annotated[Call, seeing],
        deployment: str,
        version: int | None = None,
        rule: str | None = None,
        weighted: bool = False,
    ) -> dict[str, Any]:
        """What share of a deployment's predictions is flagged: altogether, by version, by segment and by category, each
        with Wilson's interval at 95 %. `rule`: by the flags of one business rule alone. `weighted`: beside that
        `weighted_flagged`, each flag counted with its expert's weight, and the weights, as in GET /v1/experts.
        What a constant answered in a version's place is not counted, flagged or not."""
        where = equal(deployment=deployment) + (equal(version=version) if version is not None else ())
        by = equal(rule=rule) if rule is not None else ()
        of_prediction = ("predictions", "segment", "segments", "fallback")
        columns = ("version", "state", "category", *of_prediction, "raised_by", "resolution")
        flags = await service.store.find(Query("flags", (*where, *by), ("-raised_at",), MOST, columns=columns))
        named = ("version", "segment", "predictions")
        volumes = await service.store.find(Query("volumes", where, limit=MOST, columns=named))
        told = {"deployment": deployment, **rates(flags, volumes)}
        return told | _weighted(flags) if weighted else told

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


def _weighted(flags: Sequence[Row]) -> dict[str, Any]:
    """Flagged predictions, each as much as the expert who flagged it was right so far; and those weights."""
    weights = {one.expert: one.weight for one in trust(flags)}
    total = sum(weights[flag["raised_by"]] * flag["predictions"] for flag in flags if counts(flag))
    return {"weighted_flagged": total, "weights": weights}
