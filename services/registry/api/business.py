"""Goals and KPIs: what is asked, and what it is worth."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import GoalBody, KpiBody
from services.registry.api.known import Limit, need_goal, one
from services.registry.domain import goals, kpis
from shared.events.registry import GoalStated, KpiDefined
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.service import Service

MAX_SHOWN = 1_000
_ASKERS = (Role.SME, Role.DATA_SCIENTIST, Role.RISK_MANAGER, Role.ARCHITECT)


def add_business(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    asking, seeing = Depends(writing(service, *_ASKERS)), Depends(reading(service))

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
        measured = await service.store.find(
            Query("kpis", equal(goal=name), limit=MAX_SHOWN, columns=("name", "unit", "target"))
        )
        models = await service.store.find(Query("models", equal(goal=name), limit=MAX_SHOWN, columns=("name",)))
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
