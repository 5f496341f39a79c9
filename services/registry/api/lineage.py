"""OpenLineage events in, as their clients send them, and out again as they came; columns and what they are made of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from services.registry.api.columns import column_lineage
from services.registry.api.known import Limit, ever
from services.registry.domain import openlineage
from shared.events.envelope import Event
from shared.events.refusal import Refused
from shared.events.registry import LineageReported
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.edge import check_json, malformed_json
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.service import Service

_REPORTERS = (Role.DATA_ENGINEER, Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.DEVOPS, Role.SERVICE)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "description": "An OpenLineage event."}}},
    }
}
_BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"type": "object", "description": "An OpenLineage event."}}
            }
        },
    }
}
Reported = tuple[LineageReported, datetime]


def add_lineage(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _reporting(routes, service)
    _reported(routes, service)


def _reporting(routes: APIRouter, service: Service) -> None:
    reporting = Depends(writing(service, *_REPORTERS))

    @routes.post("/api/v1/lineage", status_code=201, openapi_extra=_BODY, responses=also(415))
    async def report(request: Request, call: Annotated[Call, reporting]) -> JSONResponse:
        """Take in one OpenLineage event: RunEvent, JobEvent or DatasetEvent, kept whole. One that came before changes
        nothing (200). Data sets, pipelines and runs follow from it in a moment."""
        reported = openlineage.read(await _json(request))
        call.moment(reported[1])

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            events = await _state(call, unit, [reported])
            fresh = [event.id for event in events]
            return (201 if fresh else 200), {"event_id": fresh[0] if fresh else None, "digest": reported[0].digest}

        return await call.in_unit(work)

    @routes.post("/api/v1/lineage/batch", openapi_extra=_BODIES, responses=also(415))
    async def report_batch(request: Request, call: Annotated[Call, reporting]) -> JSONResponse:
        """Take in many OpenLineage events at once, as an array. What cannot be taken in is told by its place
        (`failed_events`); the rest is kept."""
        body = await _json(request)
        given: Any = body.get("events") if isinstance(body, dict) else body
        if not isinstance(given, list):
            raise Problem(422, "not-openlineage", "A batch is an array of OpenLineage events.")
        most = service.settings.lineage_batch_events
        if len(given) > most:
            raise Problem(413, "batch-too-large", f"The batch has {len(given)} events, more than {most}.", limit=most)
        reports, failed = _read_all(call, given)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            events = await _state(call, unit, reports)
            summary = {"received": len(given), "successful": len(reports), "failed": len(failed), "new": len(events)}
            status = "success" if not failed else "partial_success" if reports else "failure"
            last = events[-1].id if events else None
            return 200, {"status": status, "summary": summary, "failed_events": failed, "event_id": last}

        return await call.in_unit(work)


def _reported(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get("/v1/lineage-reports")
    async def list_reports(
        call: Annotated[Call, seeing],
        namespace: str | None = None,
        name: str | None = None,
        run: str | None = None,
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """OpenLineage events as they came, the newest first: of a run, of a job or data set, or all."""
        asked = {"namespace": namespace, "name": name, "run": run.lower() if run else None}
        where = (*equal(**{key: value for key, value in asked.items() if value is not None}), *ever("at"))
        return await page(service, Query("lineage_reports", where, ("-at",), limit), cursor)

    @routes.get("/v1/datasets/{name}/columns/{column}/lineage")
    async def columns_of(
        name: str,
        column: str,
        call: Annotated[Call, seeing],
        direction: Literal["up", "down"] = "up",
        depth: Annotated[int, Field(ge=1, le=20)] = 20,
    ) -> dict[str, Any]:
        """What a column is made of (`up`), or what is made of it (`down`), step by step, by the newest versions."""
        return await column_lineage(service, name, column, direction, depth)


async def _json(request: Request) -> Any:
    """The body, whatever type it says it has. Raises Problem 400."""
    body = await request.body()
    check_json(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed_json(str(error)) from error


def _read_all(call: Call, given: Sequence[Any]) -> tuple[list[Reported], list[dict[str, Any]]]:
    reports: list[Reported] = []
    failed: list[dict[str, Any]] = []
    for place, body in enumerate(given):
        try:
            reported = openlineage.read(body)
            call.moment(reported[1])
            reports.append(reported)
        except (Refused, Problem) as error:
            failed.append({"index": place, "reason": error.detail, "retriable": False})
    return reports, failed


async def _state(call: Call, unit: UnitOfWork, reports: Sequence[Reported]) -> list[Event]:
    """Append each to its stream, with the time at which it happened; those that came before are left out."""
    streams: dict[str, list[Reported]] = {}
    for reported in reports:
        streams.setdefault(openlineage.subject_of(*reported), []).append(reported)
    stated: list[Event] = []
    await call.service.commands.read_ahead(unit, dict.fromkeys(streams, openlineage))
    for subject, mine in sorted(streams.items()):
        times = {report.digest: at for report, at in mine}
        sequence, seen = await call.service.commands.state_in(unit, openlineage, subject)
        facts = openlineage.decide(seen, openlineage.Report(tuple(report for report, _ in mine)))
        events: list[Event] = []
        for place, fact in enumerate(facts, 1):
            assert isinstance(fact, LineageReported)  # noqa: S101
            context = call.context(times[fact.digest])
            source = f"/muniment/{call.service.name}"
            events.append(
                Event(
                    context.event_id,
                    source,
                    subject,
                    context.at,
                    sequence + place,
                    context.actor,
                    fact,
                    correlationid=context.correlationid,
                )
            )
        stated += await unit.append(subject, sequence, events) if events else []
    return stated
