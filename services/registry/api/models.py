"""Models, their aliases and branches."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import AliasBody, ModelBody
from services.registry.api.decisions import informed_by
from services.registry.api.known import Limit, ever, model_state, need_goal, one
from services.registry.api.moving import MOVERS, gate_of, may_move
from services.registry.domain import models
from services.registry.policies import policies_in, read_ahead
from shared.events.registry import ModelRegistered
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.service import Service

_BUILDERS = (Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER)


def add_models(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _models(routes, service)
    _aliases(routes, service)


def _models(routes: APIRouter, service: Service) -> None:
    building, seeing = Depends(writing(service, *_BUILDERS)), Depends(reading(service))

    @routes.post("/v1/models", status_code=201)
    async def register_model(body: ModelBody, call: Annotated[Call, building]) -> JSONResponse:
        """Register a model; `goal` names the goal that it serves, without which no production gate opens. A model that
        was registered without one (by MLflow, in CI) says it later, once, by the same call."""
        context = call.context(body.at)
        said = body.model_dump(exclude={"name", "at", "owner"})
        model = ModelRegistered(model=body.name, owner=body.owner or call.caller.actor, **said)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            if body.goal is not None:
                await need_goal(service, unit, body.goal)
            await read_ahead(service, unit, body.name)
            policies = await policies_in(service, unit, body.name)
            command = models.RegisterModel(model, event_id=context.event_id, policies=policies)
            return await stated(service, unit, models, f"model/{body.name}", command, context)

        return await call.in_unit(work)

    @routes.get("/v1/models")
    async def list_models(
        call: Annotated[Call, seeing], goal: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Models by name, of one goal or of all."""
        where = equal(goal=goal) if goal is not None else ()
        return await page(service, Query("models", where, limit=limit), cursor)

    @routes.get("/v1/models/{name}")
    async def one_model(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A model, its aliases and tags, the newest version of each branch, and the decisions that it informs."""
        row = await one(service, "model", "models", name)
        async with service.store.begin() as unit:
            state = await model_state(service, unit, name)
        shown = {"aliases": dict(state.aliases), "branches": dict(sorted(state.heads.items())), "versions": state.last}
        said = {"tags": dict(state.marks.tags), "description": state.marks.description, "retired": state.retired}
        return row | shown | said | {"decisions": await informed_by(service, name)}


def _aliases(routes: APIRouter, service: Service) -> None:
    moving, seeing = Depends(writing(service, *MOVERS)), Depends(reading(service))

    @routes.put("/v1/models/{name}/aliases/{alias}")
    async def move_alias(name: str, alias: str, body: AliasBody, call: Annotated[Call, moving]) -> JSONResponse:
        """Point an alias at a version, or take it away; every move is kept: who, when, why.

        `champion` is moved by those whom `alias_roles` names, and only to a version whose gate for production is open.
        """
        context = call.context(body.at)
        may_move(call, alias)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await model_state(service, unit, name)
            policies = await policies_in(service, unit, name)
            command = models.MoveAlias(alias, body.version, body.reason, gate_of(call, alias), policies)
            _, answer = await stated(service, unit, models, f"model/{name}", command, context)
            return 200, answer

        return await call.in_unit(work)

    @routes.get("/v1/models/{name}/aliases")
    async def list_aliases(
        name: str, call: Annotated[Call, seeing], limit: Limit = 1_000, cursor: str | None = None
    ) -> dict[str, Any]:
        """Where each alias points."""
        await one(service, "model", "models", name)
        return await page(service, Query("aliases", equal(model=name), limit=limit), cursor)

    @routes.get("/v1/models/{name}/aliases/{alias}")
    async def alias_history(
        name: str, alias: str, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Where an alias points, and who moved it when and why, the newest move first."""
        await one(service, "model", "models", name)
        now = await service.store.get("aliases", name, alias)
        where = (*equal(model=name, alias=alias), *ever("sequence"))
        moves = Query("alias_moves", where, ("-sequence",), limit)
        history = await page(service, moves, cursor)
        return {"alias": alias, "version": now["version"] if now else None} | history
