"""Exports over HTTP: the lineage of a model in three standards, and the event log as Parquet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from fastapi.responses import Response, StreamingResponse

from services.audit.api.moments import At, KnownAt, asked
from services.audit.exports import cyclonedx, openlineage, parquet, prov
from services.audit.moment import Moment
from services.audit.pages import in_header
from services.audit.reports.facts import Facts
from services.audit.reports.gathering import Gathering
from shared.events.codec import rfc3339
from shared.log.tables import Query, Where, equal
from shared.runtime.http import Call, reading
from shared.runtime.problems import Problem, not_found
from shared.runtime.service import Service
from shared.runtime.times import Instant, utc


def add_routes(router: APIRouter, service: Service) -> None:
    """The four exports."""
    _events(router, service)
    _standard(router, service, "prov", "application/json", prov.document, "W3C PROV-JSON")
    _standard(router, service, "openlineage", "application/json", openlineage.events, "OpenLineage events (2-0-2)")
    media_type = "application/vnd.cyclonedx+json; version=1.6"
    _standard(router, service, "cyclonedx", media_type, cyclonedx.document, "CycloneDX 1.6 ML-BOM with its model card")


def _standard(
    router: APIRouter, service: Service, name: str, media_type: str, build: Callable[[Facts], Any], what: str
) -> None:
    async def export(
        model: str, call: Annotated[Call, Depends(reading(service))], at: At = None, known_at: KnownAt = None
    ) -> Response:
        when = (await asked(call, at, known_at, data=True)).moment
        gathering = Gathering(service.store, when, service.settings.report_max_events)
        facts = await gathering.model(model)
        if facts is None:
            not_found("model", model, await gathering.models())
        data = await asyncio.to_thread(_json, build, facts)
        headers = _moment(when) | {"Content-Disposition": f'inline; filename="{in_header(model)}.{name}.json"'}
        if facts.limits:
            headers["Muniment-Truncated"] = " ".join(facts.limits)
        return Response(data, media_type=media_type, headers=headers)

    export.__doc__ = (
        f"The model as {what}, as of both times, which `Muniment-At` and `Muniment-Known-At` tell. "
        "`Muniment-Truncated` tells where a limit was met."
    )
    path = f"/v1/export/{name}/{{model}}"
    router.add_api_route(path, export, methods=["GET"], response_class=Response, name=f"export_{name}")


def _moment(when: Moment) -> dict[str, str]:
    """The moment of an export, exactly, so that it can be asked for again: the standards have no place for it."""
    return {"Muniment-At": rfc3339(when.at), "Muniment-Known-At": rfc3339(when.known_at)}


def _json(build: Callable[[Facts], Any], facts: Facts) -> bytes:
    return orjson.dumps(build(facts), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _events(router: APIRouter, service: Service) -> None:
    turn = asyncio.Semaphore(service.settings.max_exports)

    @router.get("/v1/export/events", response_class=StreamingResponse)
    async def export_events(
        call: Annotated[Call, Depends(reading(service))],
        type_name: Annotated[str | None, Parameter(alias="type")] = None,
        subject: str | None = None,
        actor: str | None = None,
        start: Annotated[Instant | None, Parameter(alias="from", description="Happened at or after.")] = None,
        at: At = None,
        known_at: KnownAt = None,
    ) -> Response:
        """The event log as Parquet, for DuckDB, pandas and Spark: every event that happened by `at` and was recorded by
        `known_at`, in the order in which they were recorded. 503 while `max_exports` others run."""
        if turn.locked():
            detail = f"{service.settings.max_exports} exports run already."
            raise Problem(503, "export-busy", detail, "Try again in a moment.", headers={"Retry-After": "5"})
        when = (await asked(call, at, known_at, data=True)).moment
        given = {"type": type_name, "subject": subject, "actor": actor}
        where = equal(**{name: value for name, value in given.items() if value is not None}) + when.events
        where += (Where("time", ">=", utc(start)),) if start else ()
        pieces = _held(turn, parquet.stream(service.store, Query("ledger", where, ("recorded",)), _most(service)))
        headers = _moment(when) | {"Content-Disposition": 'attachment; filename="events.parquet"'}
        return StreamingResponse(pieces, media_type=parquet.MEDIA_TYPE, headers=headers)


def _most(service: Service) -> int:
    return service.settings.max_export_rows


async def _held(turn: asyncio.Semaphore, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async with turn:
        async for piece in pieces:
            yield piece
