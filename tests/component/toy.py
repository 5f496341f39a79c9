"""A small service of goals, to try the runtime's edge on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Query as QueryParameter
from pydantic import BaseModel, ConfigDict

from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import GoalStated
from shared.log.tables import Change, Put, Query, Table
from shared.runtime.applying import projecting
from shared.runtime.consumer import Consumer
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import not_found
from shared.runtime.service import Definition, Service
from shared.runtime.tasks import Periodic

POISON = {"poison"}
"""Questions that the projection chokes on, until somebody repairs it."""

GOALS = Table("goals", ("goal",), {"goal": "text", "question": "text", "at": "timestamp"}, (("at",),))


@dataclass(frozen=True, slots=True)
class State:
    question: str | None = None


@dataclass(frozen=True, slots=True)
class StateGoal:
    goal: str
    question: str


class Goals:
    initial = State()

    @staticmethod
    def decide(state: State, command: StateGoal) -> Sequence[Payload]:
        if command.question == "no":
            raise Refused("goal-refused", "This question is not asked here.", rules=[{"rule": "manners"}])
        if state.question == command.question:
            return []
        return [GoalStated(goal=command.goal, question=command.question, owner="ada")]

    @staticmethod
    def evolve(state: State, event: Event) -> State:
        assert isinstance(event.data, GoalStated)
        return State(event.data.question)


class GoalBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    question: str
    weight: float = 1.0
    at: datetime | None = None


def project(event: Event) -> list[Change]:
    if not isinstance(event.data, GoalStated):
        return []
    if event.data.question in POISON:
        raise ValueError("poison")
    return [Put("goals", {"goal": event.data.goal, "question": event.data.question, "at": event.time})]


def router(service: Service) -> APIRouter:
    api = APIRouter(prefix="/v1")

    @api.post("/goals", status_code=201)
    async def state_goal(
        body: GoalBody, call: Annotated[Call, Depends(writing(service, Role.SME, Role.RISK_MANAGER))]
    ) -> Any:
        command = StateGoal(body.name, body.question)
        return await call.write(
            Goals(), f"goal/{body.name}", command, context=call.context(body.at), answer=lambda _: {"name": body.name}
        )

    @api.get("/goals")
    async def goals(
        call: Annotated[Call, Depends(reading(service))],
        cursor: str | None = None,
        limit: Annotated[int, QueryParameter(ge=1)] = 100,
    ) -> Any:
        return await page(service, Query("goals", order=("-at",), limit=limit), cursor)

    @api.get("/goals/{name}")
    async def goal(name: str, call: Annotated[Call, Depends(reading(service))]) -> dict[str, Any]:
        row = await service.store.get("goals", name)
        if row is None:
            not_found("goal", name, [row["goal"] for row in await service.store.find(Query("goals"))])
        return row

    @api.post("/raw")
    async def raw(request: Request, call: Annotated[Call, Depends(writing(service))]) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @api.post("/broken")
    async def broken() -> None:
        raise RuntimeError("secret detail")

    return api


def consumers(service: Service) -> list[Consumer]:
    return [
        Consumer(
            "registry.views", ("muniment.registry",), service.log, service.store, projecting(project), service.settings
        )
    ]


def periodic(service: Service) -> list[Periodic]:
    return []


DEFINITION = Definition("registry", (GOALS,), router, consumers, periodic)

if __name__ == "__main__":
    from shared.runtime.wiring import main

    main(DEFINITION)
