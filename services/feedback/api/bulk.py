"""Many flags in one call: a short list at once, a long one or a query as a job."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from services.feedback.api import lists
from services.feedback.api.bodies import BulkBody, FlagBody, Name, query_of
from services.feedback.api.limiting import limited
from services.feedback.api.raising import Raising
from services.feedback.api.roles import FLAGGERS
from services.feedback.domain import bulk as decider
from services.feedback.domain.bulk import Request as Requested
from services.feedback.domain.conditions import check
from services.feedback.projection import project
from services.feedback.projection.tables import BULKS
from services.feedback.worker.places import in_chunks
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.feedback import BulkFlagRequested, LogEnd, Severity
from shared.events.plain import not_plain
from shared.log.store import UnitOfWork
from shared.log.tables import Put, Query, Row, equal
from shared.runtime.commands import Context
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.service import Service

Limit = Annotated[int, Field(ge=1)]
PATH = "/v1/flags:bulk"
_ENDED = ("completed", "failed")
_RAISED = {
    "type": "object",
    "required": ["event_id", "accepted", "items"],
    "properties": {
        "event_id": {"type": "string", "format": "uuid", "description": "Of the last flag."},
        "accepted": {"type": "integer"},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Written"}},
    },
}
_JOB = {
    "description": "A job: GET `job` for how far it is.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Written"}}},
}
_BULK = {"responses": {"201": {"content": {"application/json": {"schema": _RAISED}}}, "202": _JOB}}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD = {
    "requestBody": {"required": True, "content": {lists.CSV: _FILE, lists.PARQUET: _FILE}},
}


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _add_asking(routes, service)
    _add_upload(routes, service)
    _add_seeing(routes, service)


def _add_asking(routes: APIRouter, service: Service) -> None:
    flagging, raising = Depends(writing(service, *FLAGGERS)), Raising(service)

    @routes.post(PATH, status_code=201, openapi_extra=_BULK, responses=also(429))
    async def post_bulk(body: BulkBody, call: Annotated[Call, flagging]) -> JSONResponse:
        """Flag many predictions. `flags`: up to 1,000, all or none, in the order given, 201. `predictions` (ids) or
        `query` (all that the log holds now and that meet it): up to 1,000,000 as a job, 202 with `job`."""
        if body.flags is not None:
            return await _at_once(raising, call, body.flags)
        if reason := not_plain(body.expected, "expected"):
            raise Problem(422, "not-plain", f"{reason[0].upper()}{reason[1:]}.")
        context = call.context(body.at)
        query = query_of(body.query, call.moment) if body.query is not None else None
        if query is not None:
            check(query.where)
        table = await _once(service, lists.of_ids(body.predictions), "") if body.predictions is not None else None
        asked = BulkFlagRequested(
            bulk=context.event_id,
            category=body.category or "",
            severity=body.severity,
            expected=body.expected,
            comment=body.comment,
            via="query" if query is not None else "list",
            query=query,
            listed=table.num_rows if table is not None else 0,
            ends=await _ends(service),
        )
        return await _requested(service, call, context, asked, table)


def _add_upload(routes: APIRouter, service: Service) -> None:
    flagging = Depends(writing(service, *FLAGGERS))

    @routes.post("/v1/flags:upload", status_code=202, openapi_extra=_UPLOAD, responses=also(429))
    async def upload(
        request: Request,
        call: Annotated[Call, flagging],
        category: Name | None = None,
        severity: Severity = "medium",
        comment: Annotated[str, Field(max_length=1_000)] = "",
    ) -> JSONResponse:
        """Flag what a CSV or Parquet file lists, up to 1,000,000 rows, as a job: column `prediction_id`, and where rows
        differ `category`, `severity` and `expected` (JSON); what is left out is as the query says. A row that says what
        cannot be is told by its number, and nothing is flagged."""
        content, most = request.headers.get("content-type", ""), service.settings.max_bulk_flags
        table = await asyncio.to_thread(lists.of_file, await request.body(), content, most)
        if category is None and ("category" not in table.schema.names or table.column("category").null_count):
            raise Problem(422, "no-category", "Rows without a category need one: ?category=, or a column of it.")
        table = await _once(service, table, category or "")
        context = call.context()
        asked = BulkFlagRequested(
            bulk=context.event_id,
            category=category or "",
            severity=severity,
            comment=comment,
            via="upload",
            listed=table.num_rows,
            ends=await _ends(service),
        )
        return await _requested(service, call, context, asked, table)


def _add_seeing(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get(PATH)
    async def list_bulks(
        call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Bulks, the newest first."""
        return await page(service, Query("bulks", (), ("-requested_at",), limit), cursor)

    @routes.get(PATH + "/{bulk}")
    async def one_bulk(bulk: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """How far a bulk is: `state` (requested, running, completed, failed with `reason`), predictions `looked` at,
        `flagged`, `pending` (not known yet; each a flag that waits) and `refused`; `flags` names its flags, one for
        each version, category and severity."""
        row = await service.store.get("bulks", bulk) or await _from_stream(service, bulk)
        if row is None:
            raise Problem(404, "unknown-bulk", f"There is no bulk '{bulk}'.", f"List them with GET {PATH}.")
        return row


async def _from_stream(service: Service, name: str) -> Row | None:
    """A bulk that the view does not show yet, in the same shape. It may have ended already, but is said to be running
    until the views show what it flagged."""
    async with service.store.begin() as unit:
        events = await unit.load(f"bulk/{name}", 0)
    row: Row = dict.fromkeys(BULKS.columns)
    for change in (one for event in events for one in project(event)):
        if isinstance(change, Put):
            row |= change.row
    return row | {"state": "running", "ended_at": None} if row["state"] in _ENDED else row if events else None


async def _at_once(raising: Raising, call: Call, bodies: list[FlagBody]) -> JSONResponse:
    first = True

    async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
        nonlocal first
        unheard, first = first, False
        if unheard:
            await limited(raising.service, call.caller.actor, len(bodies))
        raised = [await raising.flag(unit, one, call.context(one.at), "list", None, unheard) for one in bodies]
        return 201, {"event_id": raised[-1]["event_id"], "accepted": len(raised), "items": raised}

    return await call.in_unit(work)


async def _once(service: Service, table: Any, category: str) -> Any:
    """A list that names each prediction once in a category: its parts are done one after another, and none looks into
    what the last one flagged."""
    known = await in_chunks(service.store, "client_ids", "id", await asyncio.to_thread(lists.own_ids, table))
    named = {row["id"]: batches.prediction_id(row["batch"], row["row"]) for row in known}
    return await asyncio.to_thread(lists.once, table, category, named)


async def _ends(service: Service) -> tuple[LogEnd, ...]:
    bounds = await service.log.bounds([TOPIC_PREDICTIONS])
    return tuple(LogEnd(partition=place.partition, offset=bound.end) for place, bound in sorted(bounds.items()))


async def _requested(
    service: Service, call: Call, context: Context, asked: BulkFlagRequested, table: Any
) -> JSONResponse:
    """State the request together with the work that follows from it. Raises Problem 429 where too many wait."""
    pieces = list(await asyncio.to_thread(lambda: list(lists.parts(table)))) if table is not None else []

    async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
        most = service.settings.max_bulks
        if len(await unit.find(Query("bulk_work", equal(part=0), limit=most, columns=("bulk",)))) >= most:
            detail = f"{most} bulks are under way, the most at once."
            raise Problem(429, "too-many-bulks", detail, "Try again.", headers={"Retry-After": "10"})
        status, told = await stated(service, unit, decider, f"bulk/{asked.bulk}", Requested(asked), context, 202)
        rows = [{"part": 0, "first": -1, "listed": None}]
        rows += [{"part": part, "first": first, "listed": data} for part, (first, data) in enumerate(pieces, 1)]
        await unit.apply([Put("bulk_work", {"bulk": asked.bulk, **row}) for row in rows])
        return status, told | {"job": f"{PATH}/{asked.bulk}", "state": "requested"}

    return await call.in_unit(work)
