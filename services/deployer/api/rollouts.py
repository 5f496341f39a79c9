"""/v1/deployments/{name}: canaries, reactions and fallbacks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from services.deployer.api.artifacts import unaltered
from services.deployer.api.bodies import CanaryBody, FallbackBody, ReactionsBody, ReasonBody
from services.deployer.api.commanding import DEPLOYERS, STOPPERS, Commanding
from services.deployer.api.facts import facts_of
from services.deployer.api.serving import Serving
from services.deployer.domain import HoldCanary, ResumeCanary, SetFallback, SetReactions, StartCanary
from shared.log import tables
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.responses import Answer
from shared.runtime.service import Service


def router(service: Service, serving: Serving) -> APIRouter:
    """Endpoints of rollouts."""
    routes = APIRouter(prefix="/v1/deployments/{name}", tags=["deployments"])
    run = Commanding(service, serving)
    _canaries(routes, service, run)
    _reactions(routes, service, run)
    _fallbacks(routes, service, run)
    return routes


def _canaries(routes: APIRouter, service: Service, run: Commanding) -> None:
    deploying, stopping = writing(service, *DEPLOYERS), writing(service, *STOPPERS)

    @routes.put("/canary", response_class=Answer)
    async def start_canary(name: str, body: CanaryBody, call: Annotated[Call, Depends(deploying)]) -> JSONResponse:
        """Give a version ever more traffic, step by step by the clock; the first step is taken at once. It is held when
        one of its guardrails is stated, and ends when its traffic is set or rolled back."""
        state = await run.current(name)
        facts = await facts_of(service.store, state.model, state.environment, [body.version])
        await unaltered(facts, state.runtime.kind, service.settings)
        steps, guardrails = tuple(body.steps), tuple(body.guardrails)
        wanted = StartCanary(body.version, steps, body.step_seconds, body.promote, guardrails, facts, body.reason)
        return await run.command(call, name, wanted, body)

    @routes.post("/canary/hold", response_class=Answer)
    async def hold_canary(
        name: str, call: Annotated[Call, Depends(stopping)], body: ReasonBody | None = None
    ) -> JSONResponse:
        """Let the canary keep its share."""
        body = body or ReasonBody()
        await run.current(name)
        return await run.command(call, name, HoldCanary(body.reason), body)

    @routes.post("/canary/resume", response_class=Answer)
    async def resume_canary(
        name: str, call: Annotated[Call, Depends(deploying)], body: ReasonBody | None = None
    ) -> JSONResponse:
        """Let a held canary go on; its step begins anew."""
        body = body or ReasonBody()
        await run.current(name)
        return await run.command(call, name, ResumeCanary(body.reason), body)


def _reactions(routes: APIRouter, service: Service, run: Commanding) -> None:
    stopping, read = writing(service, *STOPPERS), reading(service)

    @routes.put("/reactions", response_class=Answer)
    async def set_reactions(name: str, body: ReactionsBody, call: Annotated[Call, Depends(stopping)]) -> JSONResponse:
        """Say what follows, from now on, when drift, missed KPIs, flags or broken guardrails are stated of a version
        that answers here: warn, hold the canary, or roll back."""
        await run.current(name)
        rules = tuple(one.fact() for one in body.rules)
        return await run.command(call, name, SetReactions(rules, body.cool_down_seconds, body.reason), body)

    @routes.get("/reactions", response_class=Answer)
    async def reactions(
        name: str,
        call: Annotated[Call, Depends(read)],
        limit: Annotated[int, Query(ge=1)] = 100,
        cursor: str | None = None,
    ) -> Answer:
        """What followed, the newest first; `cause`: the id of the event it followed from."""
        await run.current(name)
        query = tables.Query("reactions", tables.equal(name=name), ("-sequence",), limit)
        return Answer(await page(service, query, cursor, _unnamed))


def _fallbacks(routes: APIRouter, service: Service, run: Commanding) -> None:
    deploying = writing(service, *DEPLOYERS)

    @routes.put("/fallback", response_class=Answer)
    async def set_fallback(name: str, body: FallbackBody, call: Annotated[Call, Depends(deploying)]) -> JSONResponse:
        """Say who answers where a version fails: the champion for a challenger, or a constant. 422 `bad-fallback` where
        a constant's outputs are not those of the champion, in its types."""
        state = await run.current(name)
        champion = state.traffic.champion
        facts = await facts_of(service.store, state.model, state.environment, [champion])
        known = facts.versions.get(champion)
        outputs = known.signature.outputs if known is not None else ()
        return await run.command(call, name, SetFallback(body.fact(), body.reason, outputs), body)


def _unnamed(row: tables.Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "name"}
