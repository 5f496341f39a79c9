"""Reports as of any moment."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from fastapi.responses import Response

from services.audit.api.moments import At, KnownAt, asked
from services.audit.api.reports.answers import base_url, made
from services.audit.pages import shown
from services.audit.reports.press import MEDIA_TYPES, Format, Press
from shared.runtime.http import Call, reading
from shared.runtime.service import Service

Wanted = Annotated[Format, Parameter(alias="format", description="json, html or pdf; all say the same.")]


def add_live(router: APIRouter, service: Service, press: Press) -> None:
    @router.get("/v1/reports", response_class=Response)
    async def inventory_report(
        call: Annotated[Call, Depends(reading(service))],
        at: At = None,
        known_at: KnownAt = None,
        wanted: Wanted = "json",
    ) -> Response:
        """The inventory of all models as of both times: what is in use, approvals, evidence, performance, findings."""
        when = (await asked(call, at, known_at, data=True)).moment
        document = await press.inventory(when, base_url(call))
        name = f"inventory-{when.at:%Y-%m-%d}.{wanted}"
        return shown(await press.render(document, wanted), MEDIA_TYPES[wanted], name)

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
        when = (await asked(call, at, known_at, data=True)).moment
        document = await made(service, press, model, when, base_url(call))
        name = f"{model}-{when.at:%Y-%m-%d}.{wanted}"
        return shown(await press.render(document, wanted), MEDIA_TYPES[wanted], name)
