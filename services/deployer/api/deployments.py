"""/v1/deployments: the commands that say what runs where and who answers."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.deployer.api.artifacts import unaltered
from services.deployer.api.bodies import DeployBody, PromoteBody, ReasonBody, TrafficBody
from services.deployer.api.commanding import DEPLOYERS, STOPPERS, Commanding
from services.deployer.api.facts import facts_of, known_model
from services.deployer.api.serving import Serving
from services.deployer.domain import Deploy, Promote, Retire, RollBack, SetTraffic
from shared.runtime.http import Call, writing
from shared.runtime.responses import Answer
from shared.runtime.service import Service


def router(service: Service, serving: Serving) -> APIRouter:
    """Commands of deployments."""
    routes = APIRouter(prefix="/v1/deployments", tags=["deployments"])
    run = Commanding(service, serving)
    _deploying(routes, service, run)
    _promoting(routes, service, run)
    _stopping(routes, service, run)
    return routes


def _deploying(routes: APIRouter, service: Service, run: Commanding) -> None:
    deploying, store = writing(service, *DEPLOYERS), service.store

    @routes.post("", status_code=201, response_class=Answer)
    async def deploy(body: DeployBody, call: Annotated[Call, Depends(deploying)]) -> JSONResponse:
        """Deploy a version. 404 where model or version are unknown, 409 `gate-closed` with the rules, or
        `artifact-altered` where the model's file is not, byte for byte, the one that was registered."""
        await known_model(store, body.model)
        facts = await facts_of(store, body.model, body.environment, [body.version])
        await unaltered(facts, body.runtime.kind, service.settings)
        wanted = Deploy(
            body.name,
            body.model,
            body.version,
            body.environment,
            body.runtime.fact(),
            body.resources.fact(),
            facts,
        )
        return await run.command(call, body.name, wanted, body, 201)

    @routes.put("/{name}/traffic", response_class=Answer)
    async def set_traffic(name: str, body: TrafficBody, call: Annotated[Call, Depends(deploying)]) -> JSONResponse:
        """Say who answers, with which share, and who is asked beside."""
        state, traffic = await run.current(name), body.fact()
        listed = [traffic.champion, *(share.version for share in traffic.challengers), *traffic.shadows]
        facts = await facts_of(store, state.model, state.environment, listed)
        await unaltered(facts, state.runtime.kind, service.settings)
        return await run.command(call, name, SetTraffic(traffic, facts, body.reason), body)


def _promoting(routes: APIRouter, service: Service, run: Commanding) -> None:
    deploying, store = writing(service, *DEPLOYERS), service.store

    @routes.post("/{name}/promote", response_class=Answer)
    async def promote(
        name: str, call: Annotated[Call, Depends(deploying)], body: PromoteBody | None = None
    ) -> JSONResponse:
        """Make a challenger the champion: the one named, or the only one with a share."""
        body = body or PromoteBody()
        state = await run.current(name)
        listed = [share.version for share in state.traffic.challengers]
        facts = await facts_of(store, state.model, state.environment, listed)
        await unaltered(facts, state.runtime.kind, service.settings)
        return await run.command(call, name, Promote(body.version, facts, body.reason), body)


def _stopping(routes: APIRouter, service: Service, run: Commanding) -> None:
    stopping = writing(service, *STOPPERS)

    @routes.post("/{name}/rollback", response_class=Answer)
    async def roll_back(
        name: str, call: Annotated[Call, Depends(stopping)], body: ReasonBody | None = None
    ) -> JSONResponse:
        """Return to the traffic before the last change."""
        body = body or ReasonBody()
        await run.current(name)
        return await run.command(call, name, RollBack(body.reason), body)

    @routes.post("/{name}/retire", response_class=Answer)
    async def retire(
        name: str, call: Annotated[Call, Depends(stopping)], body: ReasonBody | None = None
    ) -> JSONResponse:
        """End a deployment; its name and history stay."""
        body = body or ReasonBody()
        await run.current(name)
        return await run.command(call, name, Retire(body.reason), body)
