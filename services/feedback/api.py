"""HTTP: raise flags, triage, comment and resolve them, and see what became of them."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.feedback.domain import flags
from services.feedback.domain.flags import Comment, Raise, Resolve, Triage
from services.feedback.worker import NoSuchRow, place_of
from shared.events.feedback import Resolution, Severity
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, equal
from shared.runtime.commands import Context
from shared.runtime.http import Call, described, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service

MAX_BULK = 1_000
Text = Annotated[str, Field(max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
_FLAGGERS = (Role.SME, Role.DATA_SCIENTIST, Role.DATA_ENGINEER, Role.SOFTWARE_ENGINEER, Role.RISK_MANAGER, Role.AUDITOR)
_ANSWERERS = (Role.SME, Role.DATA_SCIENTIST, Role.DATA_ENGINEER, Role.DEVOPS, Role.RISK_MANAGER)


_RAISED = {
    "type": "object",
    "required": ["event_id", "accepted", "items"],
    "properties": {
        "event_id": {"type": "string", "format": "uuid", "description": "Of the last flag."},
        "accepted": {"type": "integer"},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Written"}},
    },
}
_BULK = {"responses": {"201": {"content": {"application/json": {"schema": _RAISED}}}}}


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FlagBody(Body):
    """One prediction that an expert holds for wrong; `expected`: what should have been said, any JSON."""

    prediction_id: Name
    category: Name
    severity: Severity = "medium"
    expected: Any = None
    comment: Text = ""
    at: datetime | None = None


class BulkBody(Body):
    flags: Annotated[list[FlagBody], Field(min_length=1, max_length=MAX_BULK)]


class TriageBody(Body):
    assignee: Name
    severity: Severity | None = None
    comment: Text = ""
    at: datetime | None = None


class ResolveBody(Body):
    resolution: Resolution
    comment: Annotated[str, Field(min_length=1, max_length=10_000)]
    at: datetime | None = None


class CommentBody(Body):
    comment: Annotated[str, Field(min_length=1, max_length=10_000)]
    at: datetime | None = None


def router(service: Service) -> APIRouter:
    """The endpoints of feedback."""
    routes = APIRouter(tags=["feedback"])
    flagging, answering = Depends(writing(service, *_FLAGGERS)), Depends(writing(service, *_ANSWERERS))
    seeing, known = Depends(reading(service)), Depends(writing(service))

    @routes.post("/v1/flags", status_code=201)
    async def raise_flag(body: FlagBody, call: Annotated[Call, flagging]) -> JSONResponse:
        """Flag one prediction. 404 where its batch is known and has no such row; where the prediction is not known
        (yet), the flag is kept with `located: false` and placed when the prediction comes."""

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            return 201, await _raise(service, unit, body, call.context(body.at))

        return await call.in_unit(work)

    @routes.post("/v1/flags:bulk", status_code=201, openapi_extra=_BULK)
    async def raise_flags(body: BulkBody, call: Annotated[Call, flagging]) -> JSONResponse:
        """Flag up to 1,000 predictions, all or none, in the order given."""

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            raised = [await _raise(service, unit, flag, call.context(flag.at)) for flag in body.flags]
            return 201, {"event_id": raised[-1]["event_id"], "accepted": len(raised), "items": raised}

        return await call.in_unit(work)

    @routes.get("/v1/flags")
    async def list_flags(
        call: Annotated[Call, seeing],
        deployment: str | None = None,
        version: int | None = None,
        state: str | None = None,
        severity: str | None = None,
        prediction_id: str | None = None,
        limit: Annotated[int, Field(ge=1)] = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Flags, the newest first."""
        given = {"deployment": deployment, "version": version, "state": state, "severity": severity}
        given["prediction_id"] = prediction_id
        where = equal(**{name: value for name, value in given.items() if value is not None})
        return await page(service, Query("flags", where, ("-raised_at",), limit), cursor)

    @routes.get("/v1/flags:summary")
    async def summary(call: Annotated[Call, seeing], deployment: str) -> dict[str, Any]:
        """How many flags a deployment has by version, state, severity and category; the newest 100,000 are counted."""
        columns = ("version", "state", "severity", "category")
        rows = await service.store.find(Query("flags", equal(deployment=deployment), limit=100_000, columns=columns))
        counts = {name: dict(Counter(str(row[name]) for row in rows)) for name in columns}
        return {"deployment": deployment, "flags": len(rows), **{f"by_{name}": counts[name] for name in columns}}

    @routes.get("/v1/flags/{flag}")
    async def one_flag(flag: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """One flag with all that was said about it."""
        row = await service.store.get("flags", flag)
        if row is None:
            raise Problem(404, "unknown-flag", f"There is no flag '{flag}'.", "List them with GET /v1/flags.")
        history = await service.store.find(Query("flag_history", equal(flag=flag), ("sequence",), 1_000))
        return row | {"history": [_said(entry) for entry in history]}

    @routes.post("/v1/flags/{flag}/triage")
    async def triage(flag: str, body: TriageBody, call: Annotated[Call, answering]) -> JSONResponse:
        """Give a flag to somebody, with the severity that it really has. 409 when it is resolved."""
        command = Triage(body.assignee, body.severity, body.comment)
        return await call.write(flags, f"flag/{flag}", command, context=call.context(body.at), status=200)

    @routes.post("/v1/flags/{flag}/resolve")
    async def resolve(flag: str, body: ResolveBody, call: Annotated[Call, answering]) -> JSONResponse:
        """Answer the expert. 409 when it is resolved already."""
        command = Resolve(body.resolution, body.comment)
        return await call.write(flags, f"flag/{flag}", command, context=call.context(body.at), status=200)

    @routes.post("/v1/flags/{flag}/comments", status_code=201)
    async def comment(flag: str, body: CommentBody, call: Annotated[Call, known]) -> JSONResponse:
        """Say something about a flag, at any time, resolved or not."""
        context = call.context(body.at)
        return await call.write(flags, f"flag/{flag}", Comment(body.comment), context=context)

    return routes


async def _raise(service: Service, unit: UnitOfWork, body: FlagBody, context: Context) -> dict[str, Any]:
    try:
        place = await place_of(unit, body.prediction_id)
    except NoSuchRow as error:
        fix = "Take the id as the prediction's answer gave it."
        raise Problem(404, "unknown-prediction", str(error), fix) from error
    flag = context.event_id
    command = Raise(flag, body.prediction_id, place, body.category, body.severity, body.expected, body.comment)
    events = await service.commands.handle_in(unit, flags, f"flag/{flag}", command, context)
    return described(events) | {"prediction_id": body.prediction_id, "located": place is not None}


def _said(entry: Row) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "flag"}
