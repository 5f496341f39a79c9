"""/v1/deployments: what runs where, and the commands that change it."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from services.deployer import domain
from services.deployer.api.artifacts import unaltered
from services.deployer.api.bodies import DeployBody, PromoteBody, ReasonBody, TrafficBody
from services.deployer.api.facts import facts_of, known_model
from services.deployer.api.serving import Serving
from services.deployer.domain import Command, Deploy, Promote, Retire, RollBack, SetTraffic, State, subject_of
from shared.events.deployer import Deployed, Promoted, Retired, RolledBack, TrafficChanged
from shared.events.envelope import Event
from shared.log import tables
from shared.log.tables import Row, Where
from shared.runtime.http import Answer, Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import not_found
from shared.runtime.service import Service

DEPLOYERS = (Role.DATA_SCIENTIST, Role.DATA_ENGINEER, Role.SOFTWARE_ENGINEER, Role.DEVOPS)
STOPPERS = (*DEPLOYERS, Role.RISK_MANAGER)
"""Who may bring back or take away what answers: those who put it there, and who answers for its risk."""

MAX_HISTORY = 1_000


@dataclass(frozen=True, slots=True)
class Commanding:
    """Runs the commands of deployments, and lets this process serve by them at once."""

    service: Service
    serving: Serving

    async def current(self, name: str) -> State:
        """The deployment as its stream has it, since no decision may rest on a view that lags. Raises Problem 404."""
        store = self.service.store
        async with store.begin() as unit:
            _, state = await self.service.commands.state_in(unit, domain, subject_of(name))
        if not state.exists:
            rows = await store.find(tables.Query("deployments", limit=MAX_HISTORY, columns=("name",)))
            not_found("deployment", name, [row["name"] for row in rows])
        return state

    async def command(self, call: Call, name: str, wanted: Command, body: Any, status: int = 200) -> JSONResponse:
        """Decide, state, serve by it."""
        answer = await call.write(
            domain, subject_of(name), wanted, context=call.context(body.at), status=status, answer=_answer
        )
        await self.serving.routes.adopt(name)
        return answer


def router(service: Service, serving: Serving) -> APIRouter:
    """Endpoints of deployments."""
    routes = APIRouter(prefix="/v1/deployments", tags=["deployments"])
    read = reading(service)
    deploying, stopping = writing(service, *DEPLOYERS), writing(service, *STOPPERS)
    store = service.store

    run = Commanding(service, serving)
    current, command = run.current, run.command

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
        return await command(call, body.name, wanted, body, 201)

    @routes.put("/{name}/traffic", response_class=Answer)
    async def set_traffic(name: str, body: TrafficBody, call: Annotated[Call, Depends(deploying)]) -> JSONResponse:
        """Say who answers, with which share, and who is asked beside."""
        state, traffic = await current(name), body.fact()
        listed = [traffic.champion, *(share.version for share in traffic.challengers), *traffic.shadows]
        facts = await facts_of(store, state.model, state.environment, listed)
        await unaltered(facts, state.runtime.kind, service.settings)
        return await command(call, name, SetTraffic(traffic, facts, body.reason), body)

    @routes.post("/{name}/promote", response_class=Answer)
    async def promote(
        name: str, call: Annotated[Call, Depends(deploying)], body: PromoteBody | None = None
    ) -> JSONResponse:
        """Make a challenger the champion: the one named, or the only one with a share."""
        body = body or PromoteBody()
        state = await current(name)
        listed = [share.version for share in state.traffic.challengers]
        facts = await facts_of(store, state.model, state.environment, listed)
        await unaltered(facts, state.runtime.kind, service.settings)
        return await command(call, name, Promote(body.version, facts, body.reason), body)

    @routes.post("/{name}/rollback", response_class=Answer)
    async def roll_back(
        name: str, call: Annotated[Call, Depends(stopping)], body: ReasonBody | None = None
    ) -> JSONResponse:
        """Return to the traffic before the last change."""
        body = body or ReasonBody()
        await current(name)
        return await command(call, name, RollBack(body.reason), body)

    @routes.post("/{name}/retire", response_class=Answer)
    async def retire(
        name: str, call: Annotated[Call, Depends(stopping)], body: ReasonBody | None = None
    ) -> JSONResponse:
        """End a deployment; its name and history stay."""
        body = body or ReasonBody()
        await current(name)
        return await command(call, name, Retire(body.reason), body)

    @routes.get("", response_class=Answer)
    async def deployments(
        call: Annotated[Call, Depends(read)],
        model: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        limit: Annotated[int, Query(ge=1)] = 100,
        cursor: str | None = None,
    ) -> Answer:
        """All deployments by name, with their traffic and champion."""
        wanted = {"model": model, "environment": environment, "state": state}
        where = tuple(Where(column, "=", value) for column, value in wanted.items() if value is not None)
        return Answer(await page(service, tables.Query("deployments", where, limit=limit), cursor))

    @routes.get("/{name}", response_class=Answer)
    async def deployment(name: str, call: Annotated[Call, Depends(read)]) -> Answer:
        """One deployment with its history, newest first, and what became of its shadows and of versions
        that failed in this process, and what they took of it."""
        row = await store.get("deployments", name)
        if row is None:
            rows = await store.find(tables.Query("deployments", limit=MAX_HISTORY, columns=("name",)))
            not_found("deployment", name, [one["name"] for one in rows])
        query = tables.Query("deployment_history", tables.equal(name=name), ("-sequence",), MAX_HISTORY)
        history = [_step(one) for one in await store.find(query)]
        told = {
            "shadows": _shadows(serving, row),
            "fell_back": _fell(serving, name),
            "measured": _measured(serving, name),
        }
        return Answer(row | {"history": history} | told)

    return routes


def _answer(events: Sequence[Event]) -> dict[str, Any]:
    """What a write adds to its answer: the traffic as it is now."""
    told: dict[str, Any] = {"state": "active"}
    for event in events:
        match event.data:
            case Deployed() as fact:
                told |= {"name": fact.deployment, "traffic": fact.traffic.model_dump(mode="json")}
            case TrafficChanged() | Promoted() | RolledBack() as fact:
                told |= {"name": fact.deployment, "traffic": fact.after.model_dump(mode="json")}
            case Retired():
                told["state"] = "retired"
            case _:
                pass
    return told


def _step(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "name"}


def _measured(serving: Serving, name: str) -> dict[str, Any]:
    """What this process and the deployment's versions in it took since the process began."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    versions = [
        {"version": version, "requests": one.requests, "rows": one.rows, "seconds": round(one.seconds, 6)}
        for (of, version), one in serving.gateway.asking.used.items()
        if of == name
    ]
    process = {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3), "peak_memory_mib": usage.ru_maxrss / 1024}
    return {"process": process, "versions": versions}


def _fell(serving: Serving, name: str) -> list[dict[str, Any]]:
    """In how many requests of this process a version failed and its fallback answered."""
    found = serving.gateway.asking.fell
    return [{"version": version, "requests": count} for (of, version), count in found.items() if of == name]


def _shadows(serving: Serving, row: Row) -> list[dict[str, Any]]:
    shadows = serving.shadows
    return [
        {
            "version": version,
            "dropped": shadows.dropped[row["name"], version],
            "failed": shadows.failed[row["name"], version],
        }
        for version in row["traffic"]["shadows"]
    ]
