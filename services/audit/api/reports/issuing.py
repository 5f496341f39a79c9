"""Issuing reports: their bytes are kept, and their digests go on record."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.audit.api.moments import asked
from services.audit.api.reports.answers import base_url, made
from services.audit.domain import report as issued
from services.audit.reports.press import FORMATS, Format, Press
from shared.runtime.http import Call, writing
from shared.runtime.identity import Role
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import Instant


class IssueRequest(BaseModel):
    """What to report on and why. Times default to now; `formats` to all three."""

    model_config = ConfigDict(extra="forbid")

    at: Instant | None = None
    known_at: Instant | None = None
    formats: list[Format] = Field(default_factory=lambda: list(FORMATS), min_length=1, max_length=3)
    reason: str = Field(default="", max_length=2_000)


def add_issuing(router: APIRouter, service: Service, press: Press) -> None:
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
    context, base = call.context(), base_url(call)
    when = (await asked(call, body.at, body.known_at, data=True)).moment
    if model is None:
        document = await press.inventory(when, base)
    else:
        document = await made(call.service, press, model, when, base)
    report = context.event_id
    wanted = issued.Issue(report, model, when.at, when.known_at, 0, (), reason=body.reason)
    command = await press.keep(wanted, document, body.formats)
    files = [one.model_dump() for one in command.files]
    answer = {"report": report, "url": f"/v1/issued-reports/{report}", "gaps": command.gaps, "files": files}
    return await call.write(  # type: ignore[return-value]
        issued,
        issued.subject(model),
        command,
        context=context,
        answer=lambda events: {**answer, "number": events[0].data.model_dump()["number"]},
    )
