"""Datasets, pipelines and their runs: where a model comes from."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import DatasetBody, PipelineBody, RunBody
from services.registry.api.known import Limit, dataset_refs, ever, one
from services.registry.domain import datasets, pipelines
from shared.events.registry import DatasetRegistered, PipelineRegistered, PipelineRunRecorded
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.service import Service

_ENGINEERS = (Role.DATA_ENGINEER, Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.SERVICE)


def add_data(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _datasets(routes, service)
    _pipelines(routes, service)
    _runs(routes, service)


def _datasets(routes: APIRouter, service: Service) -> None:
    building, seeing = Depends(writing(service, *_ENGINEERS)), Depends(reading(service))

    @routes.post("/v1/datasets", status_code=201)
    async def register_dataset(body: DatasetBody, call: Annotated[Call, building]) -> JSONResponse:
        """Register a dataset; the same name with another content is its next version."""
        dataset = DatasetRegistered(dataset=body.name, version=0, **body.model_dump(exclude={"name", "at"}))
        command, context = datasets.RegisterDataset(dataset), call.context(body.at)
        return await call.write(datasets, f"dataset/{body.name}", command, context=context)

    @routes.get("/v1/datasets")
    async def list_datasets(
        call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """The newest version of each dataset, by name."""
        return await page(service, Query("datasets", limit=limit), cursor)

    @routes.get("/v1/datasets/{name}")
    async def one_dataset(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """The newest version of a dataset, and its history."""
        newest = await one(service, "dataset", "datasets", name)
        history = await service.store.find(Query("dataset_versions", equal(name=name), ("-version",), 1_000))
        return newest | {"versions": history}


def _pipelines(routes: APIRouter, service: Service) -> None:
    building, seeing = Depends(writing(service, *_ENGINEERS)), Depends(reading(service))

    @routes.post("/v1/pipelines", status_code=201)
    async def register_pipeline(body: PipelineBody, call: Annotated[Call, building]) -> JSONResponse:
        """Register a pipeline: its steps, and its technique in plain words."""
        pipeline = PipelineRegistered(pipeline=body.name, **body.model_dump(exclude={"name", "at"}))
        command, context = pipelines.RegisterPipeline(pipeline), call.context(body.at)
        return await call.write(pipelines, f"pipeline/{body.name}", command, context=context)

    @routes.get("/v1/pipelines")
    async def list_pipelines(
        call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Pipelines by name."""
        return await page(service, Query("pipelines", limit=limit), cursor)

    @routes.get("/v1/pipelines/{name}")
    async def one_pipeline(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A pipeline with its steps."""
        return await one(service, "pipeline", "pipelines", name)


def _runs(routes: APIRouter, service: Service) -> None:
    building, seeing = Depends(writing(service, *_ENGINEERS)), Depends(reading(service))

    @routes.post("/v1/pipelines/{name}/runs", status_code=201)
    async def record_run(name: str, body: RunBody, call: Annotated[Call, building]) -> JSONResponse:
        """Record a run; a running one may be recorded again until it has ended."""
        context = call.context(body.at)
        started, ended = call.moment(body.started_at), call.moment(body.ended_at) if body.ended_at else None

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            run = PipelineRunRecorded(
                pipeline=name,
                run=body.run,
                state=body.state,
                started_at=started,
                ended_at=ended,
                inputs=await dataset_refs(service, unit, body.inputs),
                outputs=await dataset_refs(service, unit, body.outputs),
                code=body.code,
                parameters=body.parameters,
            )
            return await stated(service, unit, pipelines, f"pipeline/{name}", pipelines.RecordRun(run), context)

        return await call.in_unit(work)

    @routes.get("/v1/pipelines/{name}/runs")
    async def list_runs(
        name: str, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Runs of a pipeline, the newest first."""
        await one(service, "pipeline", "pipelines", name)
        return await page(
            service, Query("runs", (*equal(pipeline=name), *ever("started_at")), ("-started_at",), limit), cursor
        )
