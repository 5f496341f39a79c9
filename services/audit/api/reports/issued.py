"""Issued reports: listed, found by the digest of a file, and handed out with their bytes checked."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from fastapi.responses import Response

from services.audit.api.answers import data_of
from services.audit.domain import report as issued
from services.audit.pages import shown
from services.audit.reports.press import MEDIA_TYPES, Format
from services.audit.reports.shelf import Missing, Shelf
from shared.log.tables import Query, Row, Where, cursor_of, equal
from shared.runtime.http import Call, page, reading
from shared.runtime.openapi import also
from shared.runtime.problems import Problem, not_found
from shared.runtime.responses import Answer
from shared.runtime.service import Service

SEARCH_PAGE = 500


def add_issued(router: APIRouter, service: Service) -> None:
    @router.get("/v1/issued-reports")
    async def list_issued(
        call: Annotated[Call, Depends(reading(service))],
        model: str | None = None,
        sha256: Annotated[str | None, Parameter(description="Only those with a file of this SHA-256 (hex).")] = None,
        cursor: str | None = None,
        limit: Annotated[int, Parameter(ge=1)] = 100,
    ) -> Answer:
        """Issued reports, the newest first; of one model where `model` says so. With `sha256` the report that a file
        was issued as, if it was."""
        where = equal(type="ReportIssued") + (equal(subject=issued.subject(model)) if model else ())
        if sha256 is not None:
            return Answer({"items": await _with_digest(service, where, sha256.lower()), "next": None})
        return Answer(await page(service, Query("ledger", where, ("-time",), limit), cursor, told))

    @router.get("/v1/issued-reports/{report}")
    async def get_issued(report: str, call: Annotated[Call, Depends(reading(service))]) -> Answer:
        """One issued report: its moment, its number, and the digests of its files."""
        return Answer(told(await _stated(service, report)))

    @router.get("/v1/issued-reports/{report}/{wanted}", response_class=Response, responses=also(410))
    async def get_file(report: str, wanted: Format, call: Annotated[Call, Depends(reading(service))]) -> Response:
        """The bytes of an issued report, checked against the digest on record."""
        row = await _stated(service, report)
        file = next((one for one in data_of(row)["files"] if one["format"] == wanted), None)
        if file is None:
            have = [one["format"] for one in data_of(row)["files"]]
            not_found("format", wanted, have)
        try:
            data = await asyncio.to_thread(Shelf.of(service.settings).get, file["sha256"])
        except Missing as error:
            fix = "Restore it from a copy; the record holds its SHA-256."
            raise Problem(410, "report-bytes-lost", f"Report {report} as {wanted}: {error}.", fix) from error
        return shown(data, MEDIA_TYPES[wanted], f"report-{report}.{wanted}")


async def _with_digest(service: Service, where: tuple[Where, ...], digest: str) -> list[dict[str, Any]]:
    """Issued reports that have a file of this digest, looked for page by page."""
    table, query = service.store.tables["ledger"], Query("ledger", where, ("-time",), SEARCH_PAGE)
    found: list[dict[str, Any]] = []
    while True:
        rows = await service.store.find(query)
        found += [told(row) for row in rows if any(one["sha256"] == digest for one in data_of(row)["files"])]
        if len(rows) < SEARCH_PAGE:
            return found
        query = replace(query, after=cursor_of(table, query, rows[-1]))


async def _stated(service: Service, report: str) -> Row:
    rows = await service.store.find(Query("ledger", equal(node=f"report/{report}", type="ReportIssued"), limit=1))
    if not rows:
        newest = await service.store.find(Query("ledger", equal(type="ReportIssued"), ("-time",), limit=20))
        not_found("report", report, [data_of(row)["report"] for row in newest])
    return rows[0]


def told(row: Row) -> dict[str, Any]:
    """An issued report as an answer shows it."""
    data = data_of(row)
    name = data["report"]
    files = [{**one, "url": f"/v1/issued-reports/{name}/{one['format']}"} for one in data["files"]]
    by = {"issued_by": row["actor"], "issued_at": row["time"], "event_id": row["event_id"]}
    return {**data, **by, "files": files, "proof": f"/v1/proofs/inclusion?event_id={row['event_id']}"}
