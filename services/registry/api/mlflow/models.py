"""Registered models, their tags and aliases, as MLflow's clients ask for them."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from services.registry.api.mlflow import bodies
from services.registry.api.mlflow.entities import latest, model_of, version_of
from services.registry.api.mlflow.errors import MlflowError, exists, invalid, missing
from services.registry.api.mlflow.record import Record, stage_of, version_in
from services.registry.api.mlflow.searching import search_models
from services.registry.api.moving import MOVERS, gate_of, may_move, may_move_all
from services.registry.domain import models
from services.registry.domain.model_state import ModelState
from services.registry.policies import policies_in
from shared.events.registry import ModelRegistered
from shared.log.store import UnitOfWork
from shared.runtime.http import Call, reading, writing
from shared.runtime.identity import Role
from shared.runtime.service import Service

BUILDERS = (Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.SERVICE)
DELETED = "deleted through MLflow's API"
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
_MAX_MODELS = 1_000


def add_models(routes: APIRouter, service: Service, record: Record) -> None:
    """Mount the endpoints."""
    building, seeing = Depends(writing(service, *BUILDERS)), Depends(reading(service))
    _add_changes(routes, service, record)
    _add_tags(routes, service, record)
    _add_aliases(routes, service, record)

    @routes.post("/registered-models/create")
    async def create_registered_model(body: bodies.CreateModel, call: Annotated[Call, building]) -> JSONResponse:
        """Register a model. One that was deleted (retired) may be registered again; its versions go on counting."""
        tags = {tag.key: tag.value for tag in body.tags}
        model = ModelRegistered(model=body.name, owner=call.caller.actor, description=body.description)

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            if state.registered is not None and state.retired is None:
                raise exists(f"Registered Model (name={body.name}) already exists.")
            return models.RegisterModel(model, tags)

        return await record.write(call, body.name, making, _told, new=True)

    @routes.get("/registered-models/get")
    async def get_registered_model(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A model with its tags, aliases and the newest version of each stage."""
        return _told(await record.model(name))

    @routes.get("/registered-models/search")
    async def search_registered_models(
        call: Annotated[Call, seeing],
        filter: str = "",
        max_results: int = 100,
        order_by: Annotated[list[str], Query(max_length=10)] = [],  # noqa: B006
        page_token: str | None = None,
    ) -> dict[str, Any]:
        """Models that a filter finds (`name`, `tags.KEY`), page by page."""
        if not 0 < max_results <= _MAX_MODELS:
            raise invalid(f"Invalid value for max_results: it is 1 to {_MAX_MODELS}, but got {max_results}.")
        await record.seen()
        return await search_models(service, filter, order_by, max_results, page_token)

    async def newest(name: str, stages: list[str]) -> dict[str, Any]:
        state = await record.model(name)
        wanted = {stage_of(stage) for stage in stages}
        found = [state.versions[number] for number in latest(state)]
        told = [version_of(state, one) for one in found if not wanted or one.stage in wanted]
        return {"model_versions": told}

    @routes.post("/registered-models/get-latest-versions")
    async def latest_versions(body: bodies.Latest, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """The newest version of each stage."""
        return await newest(body.name, body.stages)

    @routes.get("/registered-models/get-latest-versions")
    async def latest_versions_of(
        name: str,
        call: Annotated[Call, seeing],
        stages: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006
    ) -> dict[str, Any]:
        """The newest version of each stage."""
        return await newest(name, stages)


def _told(state: ModelState) -> dict[str, Any]:
    return {"registered_model": model_of(state)}


def nothing(_: ModelState) -> dict[str, Any]:
    return {}


def _add_changes(routes: APIRouter, service: Service, record: Record) -> None:
    building, moving = Depends(writing(service, *BUILDERS)), Depends(writing(service, *MOVERS))

    @routes.patch("/registered-models/update")
    @routes.post("/registered-models/update", include_in_schema=False)
    async def update_registered_model(body: bodies.UpdateModel, call: Annotated[Call, building]) -> JSONResponse:
        """Describe a model anew; what was said before stays on record."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            return models.Describe(None, body.description)

        return await record.write(call, body.name, making, _told)

    @routes.post("/registered-models/rename")
    async def rename_registered_model(body: bodies.Rename, call: Annotated[Call, building]) -> JSONResponse:
        """Refused: a name stands in everything that was ever stated about the model."""
        await record.model(body.name)
        raise MlflowError(
            "INVALID_PARAMETER_VALUE",
            f"'{body.name}' keeps its name, under which it stands on record. Register '{body.new_name}' as a model of"
            " its own, with versions of the same sources, and delete (retire) the old one.",
            400,
        )

    @routes.delete("/registered-models/delete")
    async def delete_registered_model(body: bodies.Named, call: Annotated[Call, moving]) -> JSONResponse:
        """Retire a model and all its versions: nothing of the record is removed."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            may_move_all(call, list(state.aliases))
            return models.RetireModel(DELETED, await policies_in(service, unit, body.name))

        return await record.write(call, body.name, making, nothing)


def _add_tags(routes: APIRouter, service: Service, record: Record) -> None:
    building = Depends(writing(service, *BUILDERS))

    @routes.post("/registered-models/set-tag")
    async def set_tag(body: bodies.SetTag, call: Annotated[Call, building]) -> JSONResponse:
        """Set a tag of a model."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            return models.ChangeTags(None, {body.key: body.value})

        return await record.write(call, body.name, making, nothing)

    @routes.delete("/registered-models/delete-tag")
    async def delete_tag(body: bodies.DeleteTag, call: Annotated[Call, building]) -> JSONResponse:
        """Take a tag of a model away; that it was there stays on record."""

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            return models.ChangeTags(None, {body.key: None})

        return await record.write(call, body.name, making, nothing)


def _add_aliases(routes: APIRouter, service: Service, record: Record) -> None:
    moving, seeing = Depends(writing(service, *MOVERS)), Depends(reading(service))

    @routes.post("/registered-models/alias")
    async def set_alias(body: bodies.SetAlias, call: Annotated[Call, moving]) -> JSONResponse:
        """Point an alias at a version. `champion` needs the right to move it and an open gate for production."""
        if _RESERVED.fullmatch(body.alias):
            raise invalid(f"Registered model alias name '{body.alias}' is reserved.")
        may_move(call, body.alias)

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            version_in(state, body.version)
            policies = await policies_in(service, unit, body.name)
            return models.MoveAlias(body.alias, body.version, "", gate_of(call, body.alias), policies)

        return await record.write(call, body.name, making, nothing)

    @routes.delete("/registered-models/alias")
    async def delete_alias(body: bodies.Alias, call: Annotated[Call, moving]) -> JSONResponse:
        """Take an alias away; where it pointed, and that it did, stays on record."""
        may_move(call, body.alias)

        async def making(unit: UnitOfWork, state: ModelState) -> models.Command:
            return models.MoveAlias(body.alias, None)

        return await record.write(call, body.name, making, nothing)

    @routes.get("/registered-models/alias")
    async def by_alias(name: str, alias: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """The version that an alias points at; `latest` is the newest."""
        state = await record.model(name)
        number = state.aliases.get(alias)
        if alias.lower() == "latest" and number is None:
            number = max((one for one in latest(state)), default=None)
            if number is None:
                raise missing(f"Latest version not found for model {name}.")
        if number is None:
            raise invalid(f"Registered model alias {alias} not found.")
        return {"model_version": version_of(state, version_in(state, number))}
