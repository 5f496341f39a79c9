"""Verifications: asked for here, run by the worker, told here."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from pydantic import BaseModel, ConfigDict

from services.audit.api.answers import data_of
from shared.log.store import UnitOfWork
from shared.log.tables import Put, Query, Row, equal
from shared.runtime.commands import new_id, now
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import not_found
from shared.runtime.responses import Answer
from shared.runtime.service import Service


class VerificationRequest(BaseModel):
    """Nothing to choose yet: a verification always replays the whole log."""

    model_config = ConfigDict(extra="forbid")


def add_routes(router: APIRouter, service: Service) -> None:
    """The three endpoints."""
    asking = writing(service, Role.AUDITOR, Role.RISK_MANAGER, Role.DEVOPS, Role.ARCHITECT)

    @router.post("/v1/verifications", status_code=202)
    async def request_verification(
        call: Annotated[Call, Depends(asking)], body: VerificationRequest | None = None
    ) -> Answer:
        """Replay the whole log beside the views; answers at once, `GET …/{id}` tells progress and result."""
        name = new_id()

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            row = {
                "id": name,
                "state": "requested",
                "actor": call.caller.actor,
                "correlationid": call.correlationid,
                "requested_at": now(),
            }
            await unit.apply([Put("verifications", row)])
            return 202, {"id": name, "state": "requested", "url": f"/v1/verifications/{name}"}

        return await call.in_unit(work)  # type: ignore[return-value]

    @router.get("/v1/verifications")
    async def list_verifications(
        call: Annotated[Call, Depends(reading(service))],
        cursor: str | None = None,
        limit: Annotated[int, Parameter(ge=1)] = 100,
    ) -> Answer:
        """The newest first."""
        return Answer(await page(service, Query("verifications", order=("-requested_at",), limit=limit), cursor, told))

    @router.get("/v1/verifications/{verification}")
    async def get_verification(verification: str, call: Annotated[Call, Depends(reading(service))]) -> Answer:
        """Progress, and when it is completed the result."""
        row = await service.store.get("verifications", verification)
        if row is not None:
            return Answer(told(row))
        node = f"verification/{verification}"
        stated = await service.store.find(Query("ledger", equal(node=node), ("time", "sequence"), limit=2))
        if not stated:
            rows = await service.store.find(Query("verifications", order=("-requested_at",), columns=("id",)))
            not_found("verification", verification, [one["id"] for one in rows])
        return Answer(from_events(stated))


def told(row: Row) -> dict[str, Any]:
    """A verification as an answer shows it; `result` is null until it is completed."""
    result: dict[str, Any] | None = row["result"]
    return {
        "id": row["id"],
        "state": row["state"],
        "requested_by": row["actor"],
        "requested_at": row["requested_at"],
        "progress": {"events": row["events_done"] or 0, "of": row["events_total"], "rows": row["rows"] or 0},
        "outcome": result["outcome"] if result else None,
        "first_difference": result["first_difference"] if result else None,
        "result": result,
        "problem": row["problem"],
    }


def from_events(rows: list[Row]) -> dict[str, Any]:
    """The same of a verification whose request is gone (the views were rebuilt since) and whose result is a fact."""
    row, *more = rows
    data = data_of(row)
    data["tree"] = data_of(more[0]) if more else None
    state: Row = {"id": data["verification"], "state": "completed", "actor": row["actor"], "requested_at": None}
    counted: Row = {
        "events_done": data["events"],
        "events_total": data["events"],
        "rows": data["rows"],
        "problem": None,
    }
    return told({**state, **counted, "result": {**data, "event_id": row["event_id"]}})
