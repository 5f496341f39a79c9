"""Reports over HTTP: as of any moment in three formats, and issued ones, whose bytes are on record."""

import asyncio
import hashlib
from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from services.audit.api.moments import At, KnownAt, moment
from services.audit.api.reader import Moment, data_of
from services.audit.domain import report as issued
from services.audit.reports.gathering import Gathering
from services.audit.reports.press import FORMATS, MEDIA_TYPES, Format, Press
from services.audit.reports.shelf import Missing, Shelf
from shared.log.tables import Query, Row, Where, cursor_of, equal
from shared.runtime.http import Answer, Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.openapi import also
from shared.runtime.problems import Problem, not_found
from shared.runtime.service import Service

Wanted = Annotated[Format, Parameter(alias="format", description="json, html or pdf; all say the same.")]
SEARCH_PAGE = 500
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


class IssueRequest(BaseModel):
    """What to report on and why. Times default to now; `formats` to all three."""

    model_config = ConfigDict(extra="forbid")

    at: datetime | None = None
    known_at: datetime | None = None
    formats: list[Format] = Field(default_factory=lambda: list(FORMATS), min_length=1, max_length=3)
    reason: str = Field(default="", max_length=2_000)


def add_routes(router: APIRouter, service: Service) -> None:
    """Live reports, issuing, and issued ones."""
    press = Press(service)
    _live(router, service, press)
    _issuing(router, service, press)
    _issued(router, service)


def _live(router: APIRouter, service: Service, press: Press) -> None:
    @router.get("/v1/reports", response_class=Response)
    async def inventory_report(
        call: Annotated[Call, Depends(reading(service))],
        at: At = None,
        known_at: KnownAt = None,
        wanted: Wanted = "json",
    ) -> Response:
        """The inventory of all models as of both times: what is in use, approvals, evidence, performance, findings."""
        when = moment(at, known_at)
        made = await press.inventory(when, base_url(call))
        return file_response(await press.render(made, wanted), wanted, f"inventory-{when.at:%Y-%m-%d}")

    @router.get("/v1/reports/{model}", response_class=Response)
    async def model_report(
        model: str,
        call: Annotated[Call, Depends(reading(service))],
        at: At = None,
        known_at: KnownAt = None,
        wanted: Wanted = "json",
    ) -> Response:
        """The report on one model as of both times: SR 26-2 (with SR 11-7), EU AI Act Annex IV and Articles 12 and 72,
        and a model card. Every statement names its events; what is not on record is said to be so."""
        when = moment(at, known_at)
        made = await _made(service, press, model, when, base_url(call))
        return file_response(await press.render(made, wanted), wanted, f"{model}-{when.at:%Y-%m-%d}")


def _issuing(router: APIRouter, service: Service, press: Press) -> None:
    asking = writing(service, Role.AUDITOR, Role.RISK_MANAGER, Role.ARCHITECT)

    @router.post("/v1/reports", status_code=201)
    async def issue_inventory(call: Annotated[Call, Depends(asking)], body: IssueRequest | None = None) -> Answer:
        """Issue the inventory report: keep its bytes and put their digests on record."""
        return await _issue(call, press, None, body or IssueRequest())

    @router.post("/v1/reports/{model}", status_code=201)
    async def issue_model(
        model: str, call: Annotated[Call, Depends(asking)], body: IssueRequest | None = None
    ) -> Answer:
        """Issue a report on a model: keep its bytes and put their digests on record."""
        return await _issue(call, press, model, body or IssueRequest())


async def _issue(call: Call, press: Press, model: str | None, body: IssueRequest) -> Answer:
    context, when, base = call.context(), moment(body.at, body.known_at), base_url(call)
    if model is None:
        made = await press.inventory(when, base)
    else:
        made = await _made(call.service, press, model, when, base)
    report = context.event_id
    asked = issued.Issue(report, model, when.at, when.known_at, 0, (), reason=body.reason)
    command = await press.keep(asked, made, body.formats)
    files = [one.model_dump() for one in command.files]
    answer = {"report": report, "url": f"/v1/issued-reports/{report}", "gaps": command.gaps, "files": files}
    return await call.write(  # type: ignore[return-value]
        issued,
        issued.subject(model),
        command,
        context=context,
        answer=lambda events: {**answer, "number": events[0].data.model_dump()["number"]},
    )


def _issued(router: APIRouter, service: Service) -> None:
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
        return file_response(data, wanted, f"report-{report}")


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


async def _made(service: Service, press: Press, model: str, when: Moment, base: str) -> dict[str, Any]:
    made = await press.model(model, when, base)
    if made is None:
        gathering = Gathering(service.store, when, service.settings.report_max_events)
        not_found("model", model, await gathering.models())
    return made


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


def base_url(call: Call) -> str:
    """Where the links of a report lead: the setting, or where this request came in."""
    return (call.service.settings.public_url or str(call.request.base_url)).rstrip("/")


def file_response(data: bytes, format: Format, name: str) -> Response:
    """A file with its digest (RFC 9530) and a name to save it by."""
    headers = {
        "Repr-Digest": f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:",
        "Content-Disposition": f'inline; filename="{name}.{format}"',
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=MEDIA_TYPES[format], headers=headers)
