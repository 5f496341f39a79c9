"""Everything that experts corrected, as a data set to train on, whose lineage names each flag."""

import asyncio
import hashlib
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from services.feedback.api.bodies import Body, Name
from services.feedback.api.roles import RULERS
from services.feedback.corrections import corrected, parquet
from services.feedback.domain import exporting
from services.feedback.domain.exporting import Export
from services.feedback.files import Files
from shared.events.feedback import CorrectionsExported
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.service import Service

Limit = Annotated[int, Field(ge=1)]
PATH = "/v1/corrections"
PARQUET = "application/vnd.apache.parquet"


class ExportBody(Body):
    """`dataset`: the name under which it is, and can be registered (POST /v1/datasets of the registry, same name and
    version), so that a version trained on it hangs on every flag."""

    deployment: Name
    dataset: Name


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _add_export(routes, service)
    _add_seeing(routes, service)


def _add_export(routes: APIRouter, service: Service) -> None:
    ruling = Depends(writing(service, *RULERS))
    files = _files(service)

    @routes.post(PATH, status_code=201)
    async def export(body: ExportBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Make the next version of a data set of all predictions of a deployment whose labels experts corrected. Where
        nothing was corrected since, 200 without events. 409 `nothing-corrected` where there is nothing."""
        most = service.settings.max_correction_rows
        found = await corrected(service, body.deployment, most)
        if not found.count:
            detail = f"No flag on '{body.deployment}' was answered with a corrected label that is a number."
            raise Problem(409, "nothing-corrected", detail, "Resolve flags as label_corrected first.")
        if found.count > most:
            raise Problem(413, "too-many-corrections", f"More than {most} labels were corrected.")
        try:
            data = await parquet(service, body.deployment, found)
        except pa.ArrowInvalid as error:
            raise Problem(409, "mixed-types", f"Versions disagree in a column's type: {error}") from error
        digest = hashlib.sha256(data).hexdigest()
        await asyncio.to_thread(files.keep, f"{digest}.parquet", data)
        context = call.context()
        made = CorrectionsExported(
            export=context.event_id,
            dataset=body.dataset,
            version=0,
            sha256=digest,
            rows=found.count,
            flags=found.flags,
        )

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            subject = f"corrections/{body.dataset}"
            status, told = await stated(service, unit, exporting, subject, Export(made), context)
            _, newest = await service.commands.state_in(unit, exporting, subject)
            assert newest is not None  # noqa: S101  it was just stated, or is the one with these bytes
            kept = newest.model_dump(mode="json")
            return status, told | kept | {"id": newest.export, "path": f"{PATH}/{newest.export}/file"}

        return await call.in_unit(work)


def _add_seeing(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))
    files = _files(service)

    @routes.get(PATH)
    async def exports(
        call: Annotated[Call, seeing], dataset: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Data sets of corrections, the newest first."""
        where = equal(dataset=dataset) if dataset is not None else ()
        return await page(service, Query("exports", where, ("-at",), limit), cursor)

    @routes.get(PATH + "/{export}/file", response_class=Response, responses=also(410))
    async def file(export: str, call: Annotated[Call, seeing]) -> Response:
        """The Parquet file."""
        row = await service.store.get("exports", export)
        if row is None:
            raise Problem(404, "unknown-export", f"There is no data set '{export}'.", f"List them with GET {PATH}.")
        try:
            data = await asyncio.to_thread(files.read, f"{row['sha256']}.parquet")
        except FileNotFoundError as error:
            detail = f"The file {row['sha256']} is no longer where MUNIMENT_CORRECTIONS_URL says."
            raise Problem(410, "file-gone", detail, "Export it again.") from error
        name = f"{row['dataset']}-{row['version']}.parquet".replace('"', "")
        headers = {"Content-Disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}"'}
        return Response(data, media_type=PARQUET, headers=headers)


def _files(service: Service) -> Files:
    return Files.of(service.settings, service.settings.corrections_url, "corrections")
