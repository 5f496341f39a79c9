"""Goals, KPIs and policies: what is asked, what it is worth, and what a stage demands."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import GoalBody, KpiBody, PolicyBody
from services.registry.api.known import Limit, need_goal, one
from services.registry.domain import goals, kpis, policies
from services.registry.policies import policies_in
from shared.events.registry import GoalStated, KpiDefined, PolicyAdopted
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service

_ASKERS = (Role.SME, Role.DATA_SCIENTIST, Role.RISK_MANAGER, Role.ARCHITECT)


def add_business(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    asking, seeing = Depends(writing(service, *_ASKERS)), Depends(reading(service))
    ruling = Depends(writing(service, Role.RISK_MANAGER))

    @routes.post("/v1/goals", status_code=201)
    async def state_goal(body: GoalBody, call: Annotated[Call, asking]) -> JSONResponse:
        """State a business goal. The same again changes nothing; another content under its name is 409."""
        said = body.model_dump(exclude={"name", "at", "owner"})
        goal = GoalStated(goal=body.name, owner=body.owner or call.caller.actor, **said)
        return await call.write(goals, f"goal/{body.name}", goals.StateGoal(goal), context=call.context(body.at))

    @routes.get("/v1/goals")
    async def list_goals(
        call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Goals by name."""
        return await page(service, Query("goals", limit=limit), cursor)

    @routes.get("/v1/goals/{name}")
    async def one_goal(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A goal, its KPIs and the models that serve it."""
        goal = await one(service, "goal", "goals", name)
        measured = await service.store.find(Query("kpis", equal(goal=name), columns=("name", "unit", "target")))
        models = await service.store.find(Query("models", equal(goal=name), columns=("name",)))
        return goal | {"kpis": measured, "models": [row["name"] for row in models]}

    @routes.post("/v1/kpis", status_code=201)
    async def define_kpi(body: KpiBody, call: Annotated[Call, asking]) -> JSONResponse:
        """Define how well a goal is met, in a unit that the business knows."""
        context = call.context(body.at)
        kpi = KpiDefined(kpi=body.name, **body.model_dump(exclude={"name", "at"}))

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await need_goal(service, unit, body.goal)
            return await stated(service, unit, kpis, f"kpi/{body.name}", kpis.DefineKpi(kpi), context)

        return await call.in_unit(work)

    @routes.get("/v1/kpis")
    async def list_kpis(
        call: Annotated[Call, seeing], goal: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """KPIs by name, of one goal or of all."""
        where = equal(goal=goal) if goal is not None else ()
        return await page(service, Query("kpis", where, limit=limit), cursor)

    @routes.get("/v1/kpis/{name}")
    async def one_kpi(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A KPI with its formula."""
        return await one(service, "kpi", "kpis", name)

    @routes.post("/v1/policies", status_code=201)
    async def adopt_policy(body: PolicyBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Say what the gate of a stage demands from now on; every gate is looked at again."""
        unknown = [role for role in body.approvals if role not in set(Role)]
        if unknown:
            raise Problem(422, "unknown-role", f"There is no role {unknown[0]}.", f"Roles: {', '.join(Role)}.")
        policy = PolicyAdopted(version=0, **body.model_dump(exclude={"at"}))
        command = policies.AdoptPolicy(policy)
        return await call.write(policies, f"policy/{body.stage}", command, context=call.context(body.at))

    @routes.get("/v1/policies")
    async def list_policies(call: Annotated[Call, seeing]) -> dict[str, Any]:
        """The policy in force of each stage; version 0 is the one that holds until another is adopted."""
        async with service.store.begin() as unit:
            in_force = await policies_in(service, unit)
        return {"items": [policy.model_dump(mode="json") for policy in in_force.values()], "next": None}
