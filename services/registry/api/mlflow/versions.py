"""Versions of models, as MLflow's clients ask for them."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from services.registry.api.mlflow import bodies
from services.registry.api.mlflow.entities import version_of
from services.registry.api.mlflow.errors import invalid
from services.registry.api.mlflow.models import BUILDERS, DELETED, nothing
from services.registry.api.mlflow.record import Record, stage_of, version_in
from services.registry.api.mlflow.searching import search_versions
from services.registry.api.moving import MOVERS, may_move, may_move_all
from services.registry.domain import models
from services.registry.domain.model_state import ModelState
from services.registry.policies import policies_in
from shared.events.registry import Artifact, ModelVersionRegistered, Signature
from shared.log.store import UnitOfWork
from shared.runtime.http import Call, reading, writing
from shared.runtime.service import Service

_MAX_VERSIONS = 200_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_REGISTERED = re.compile(r"models:/(?P<name>[^/:@]+)(?:/(?P<version>\d{1,9})|@(?P<alias>[^/:@]+))")
DIGEST_TAG = "sha256"


def add_versions(routes: APIRouter, service: Service, record: Record) -> None:
    """Mount the endpoints."""
    building, seeing = Depends(writing(service, *BUILDERS)), Depends(reading(service))
    _add_changes(routes, service, record)
    _add_tags(routes, service, record)

    @routes.post("/model-versions/create")
    async def create_model_version(body: bodies.CreateVersion, call: Annotated[Call, building]) -> JSONResponse:
        """Register the next version, frozen from then on. The tag `sha256` gives the artifact's digest, without which
        nothing here serves it."""
        context = call.context()
        tags = {tag.key: tag.value for tag in body.tags}
        version = _version(body, tags.get(DIGEST_TAG, ""))
        limit = service.settings.reference_values

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            policies = await policies_in(service, unit, body.name, new=True)
            copied = await _copied(record, unit, version)
            said = (copied, None, limit, call.caller.actor, context.event_id, policies, tags, True)
            return models.RegisterVersion(*said)

        def telling(state: ModelState) -> dict[str, Any]:
            return {"model_version": version_of(state, state.versions[state.last])}

        return await record.write(call, body.name, making, telling, context=context)

    @routes.get("/model-versions/get")
    async def get_model_version(name: str, version: bodies.Version, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A version; one that was deleted (retired) is not found, and stays on record in the native API."""
        state = await record.model(name)
        return {"model_version": version_of(state, version_in(state, version))}

    @routes.get("/model-versions/get-download-uri")
    async def get_download_uri(name: str, version: bodies.Version, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """Where the version's artifact lies: its source."""
        found = version_in(await record.model(name), version)
        return {"artifact_uri": found.registered.artifact.uri}

    @routes.get("/model-versions/search")
    async def search_model_versions(
        call: Annotated[Call, seeing],
        filter: str = "",
        max_results: int = 10_000,
        order_by: Annotated[list[str], Query(max_length=10)] = [],  # noqa: B006
        page_token: str | None = None,
    ) -> dict[str, Any]:
        """Versions that a filter finds (`name`, `version_number`, `run_id`, `source_path`, `tags.KEY`)."""
        if not 0 < max_results <= _MAX_VERSIONS:
            raise invalid(f"Invalid value for max_results: it is 1 to {_MAX_VERSIONS}, but got {max_results}.")
        await record.seen()
        return await search_versions(service, filter, order_by, max_results, page_token)


def _version(body: bodies.CreateVersion, digest: str) -> ModelVersionRegistered:
    if digest and not _SHA256.fullmatch(digest):
        raise invalid(f"The tag '{DIGEST_TAG}' is the artifact's SHA-256, 64 hexadecimal digits; got '{digest[:80]}'.")
    return ModelVersionRegistered(
        model=body.name,
        version=0,
        artifact=Artifact(uri=body.source, sha256=digest),
        signature=Signature(inputs=(), outputs=()),
        pipeline_run=body.run_id or None,
        description=body.description,
        run_link=body.run_link,
    )


async def _copied(record: Record, unit: UnitOfWork, version: ModelVersionRegistered) -> ModelVersionRegistered:
    """A version whose source is one that is registered here (`models:/NAME/VERSION`) has that one's artifact, and all
    that is known of it. Raises MlflowError RESOURCE_DOES_NOT_EXIST."""
    named = _REGISTERED.fullmatch(version.artifact.uri)
    if named is None:
        return version
    state = await record.model_in(unit, named["name"])
    number = state.aliases.get(named["alias"], 0) if named["alias"] else int(named["version"])
    origin = version_in(state, number).registered
    shared = ("artifact", "framework", "signature", "params", "metrics", "training_data", "code", "task", "classes")
    return version.model_copy(update={name: getattr(origin, name) for name in shared})


def _add_changes(routes: APIRouter, service: Service, record: Record) -> None:
    building, moving = Depends(writing(service, *BUILDERS)), Depends(writing(service, *MOVERS))

    @routes.patch("/model-versions/update")
    @routes.post("/model-versions/update", include_in_schema=False)
    async def update_model_version(body: bodies.UpdateVersion, call: Annotated[Call, building]) -> JSONResponse:
        """Describe a version anew; what was said before stays on record."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            version_in(state, body.version)
            return models.Describe(body.version, body.description)

        return await record.write(call, body.name, making, _telling(body.version))

    @routes.post("/model-versions/transition-stage")
    async def transition_stage(body: bodies.Transition, call: Annotated[Call, moving]) -> JSONResponse:
        """Move a version to a stage. Production needs what `champion` needs; Staging needs the gate for staging."""
        stage: Any = stage_of(body.stage)
        if body.archive_existing_versions and stage not in ("Staging", "Production"):
            raise invalid("archive_existing_versions goes with the stages Staging and Production only.")
        if stage == "Production":
            may_move(call, "champion")

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            version_in(state, body.version)
            policies = await policies_in(service, unit, body.name)
            return models.MoveStage(body.version, stage, body.archive_existing_versions, policies)

        return await record.write(call, body.name, making, _telling(body.version))

    @routes.delete("/model-versions/delete")
    async def delete_model_version(body: bodies.OfVersion, call: Annotated[Call, moving]) -> JSONResponse:
        """Retire a version: nothing of the record is removed, and its aliases point nowhere any more."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            version_in(state, body.version)
            may_move_all(call, [alias for alias, number in state.aliases.items() if number == body.version])
            return models.RetireVersion(body.version, DELETED, await policies_in(service, unit, body.name))

        return await record.write(call, body.name, making, nothing)


def _telling(number: int) -> Any:
    def told(state: ModelState) -> dict[str, Any]:
        return {"model_version": version_of(state, state.versions[number])}

    return told


def _add_tags(routes: APIRouter, service: Service, record: Record) -> None:
    building = Depends(writing(service, *BUILDERS))

    @routes.post("/model-versions/set-tag")
    async def set_version_tag(body: bodies.SetVersionTag, call: Annotated[Call, building]) -> JSONResponse:
        """Set a tag of a version."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            version_in(state, body.version)
            return models.ChangeTags(body.version, {body.key: body.value})

        return await record.write(call, body.name, making, nothing)

    @routes.delete("/model-versions/delete-tag")
    async def delete_version_tag(body: bodies.DeleteVersionTag, call: Annotated[Call, building]) -> JSONResponse:
        """Take a tag of a version away; that it was there stays on record."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            version_in(state, body.version)
            return models.ChangeTags(body.version, {body.key: None})

        return await record.write(call, body.name, making, nothing)
