"""Single flags: raise one, list them, look at one."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from services.feedback.api.bodies import FlagBody, Name, State
from services.feedback.api.limiting import limited
from services.feedback.api.raising import Raising
from services.feedback.api.roles import FLAGGERS
from services.feedback.projection.parts import rows_of
from services.feedback.worker.places import NoSuchRow, place_of
from shared.events import batches
from shared.events.feedback import Severity, Target
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.responses import EarlyRoute
from shared.runtime.service import Service

Limit = Annotated[int, Field(ge=1)]
MAX_PARTS = 1_000


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _add_raising(routes, service)
    _add_list(routes, service)
    _add_one(routes, service)


def _add_raising(routes: APIRouter, service: Service) -> None:
    flagging, raising = Depends(writing(service, *FLAGGERS)), Raising(service)

    async def post_flag(body: FlagBody, call: Annotated[Call, flagging]) -> JSONResponse:
        """Flag a prediction, a slice, a model or a pipeline. 404 where a prediction's batch is known and has no such
        row; where the prediction is not known (yet), the flag is kept with `located: false` and placed when it comes.
        What the caller said before, word by word, is not flagged again: 200 with that flag's id and `duplicate`. 429
        with Retry-After beyond MUNIMENT_FLAGS_PER_MINUTE of one user."""

        first = True

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            nonlocal first
            unheard, first = first, False
            if unheard:
                await limited(service, call.caller.actor)
            told = await raising.flag(unit, body, call.context(body.at), unheard=unheard)
            return 200 if told["duplicate"] else 201, told

        return await call.in_unit(work)

    routes.add_api_route(
        "/v1/flags",
        post_flag,
        methods=["POST"],
        status_code=201,
        responses=also(429),
        route_class_override=EarlyRoute,
    )


def _add_list(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get("/v1/flags")
    async def list_flags(
        call: Annotated[Call, seeing],
        deployment: Name | None = None,
        version: int | None = None,
        model: Name | None = None,
        target: Target | None = None,
        state: State | None = None,
        severity: Severity | None = None,
        category: Name | None = None,
        assignee: Name | None = None,
        raised_by: Name | None = None,
        mine: bool = False,
        bulk: Name | None = None,
        rule: Name | None = None,
        prediction_id: Name | None = None,
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Flags, the newest first; `mine`: those that the caller raised. With `prediction_id` those on that prediction
        alone and those on many of which it is one; the latter come on the first page, beyond `limit`."""
        given = {"deployment": deployment, "version": version, "model": model, "target": target, "state": state}
        given |= {"severity": severity, "category": category, "assignee": assignee}
        given |= {"raised_by": call.caller.actor if mine else raised_by}
        given |= {"bulk": bulk, "rule": rule, "prediction_id": prediction_id}
        named = {name: value for name, value in given.items() if value is not None}
        found = await page(service, Query("flags", equal(**named), ("-raised_at",), limit), cursor)
        if prediction_id is not None and cursor is None:
            rest = {name: value for name, value in named.items() if name != "prediction_id"}
            many = await _many_on(service, prediction_id)
            found["items"] += [row for row in many if all(row[name] == value for name, value in rest.items())]
        return found


def _add_one(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get("/v1/flags/{flag}")
    async def one_flag(flag: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """One flag with all that was said about it."""
        row = await known(service, flag)
        history = await service.store.find(Query("flag_history", equal(flag=flag), ("sequence",), 1_000))
        return row | {"history": [_said(entry) for entry in history]}

    @routes.get("/v1/flags/{flag}/predictions")
    async def predictions_of(
        flag: str, call: Annotated[Call, seeing], limit: Limit = 10, cursor: str | None = None
    ) -> dict[str, Any]:
        """The predictions that a flag on many stands for, batch by batch: `limit` counts batches."""
        await known(service, flag)
        query = Query("flagged", equal(flag=flag), ("batch", "part"), limit)
        return await page(service, query, cursor, _part)


async def known(service: Service, flag: str) -> Row:
    """One flag's row. Raises Problem 404 `unknown-flag`."""
    row = await service.store.get("flags", flag)
    if row is None:
        raise Problem(404, "unknown-flag", f"There is no flag '{flag}'.", "List them with GET /v1/flags.")
    return row


async def _many_on(service: Service, prediction_id: str) -> list[Row]:
    """Flags on many predictions of which this is one."""
    try:
        place = await place_of(service.store, prediction_id)
    except NoSuchRow:
        return []
    if place is None:
        return []
    parts = await service.store.find(Query("flagged", equal(batch=place.batch), limit=MAX_PARTS))
    names = sorted({part["flag"] for part in parts if place.row in rows_of(part["rows"])})
    return await service.store.find(Query("flags", (Where("id", "in", names),), limit=MAX_PARTS)) if names else []


def _part(row: Row) -> dict[str, Any]:
    rows: list[int] = rows_of(row["rows"]).tolist()
    details = row["details"] or {}
    own = details.get("prediction_id", {})
    ids = [own.get(str(at)) or batches.prediction_id(row["batch"], at) for at in rows]
    return {"batch": row["batch"], "count": row["count"], "prediction_ids": ids, "expected": details.get("expected")}


def _said(entry: Row) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "flag"}
