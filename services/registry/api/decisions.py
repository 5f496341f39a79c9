"""Decisions (DMN): which business decisions rest on which models, from either side."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import DecisionBody
from services.registry.api.known import Limit, model_state, names, need_goal, need_kpi, one
from services.registry.domain import decisions
from shared.events.registry import DecisionModelled, Informing
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem, not_found
from shared.runtime.service import Service

_ASKERS = (Role.SME, Role.DATA_SCIENTIST, Role.RISK_MANAGER, Role.ARCHITECT)
MAX_SHOWN = 1_000
MAX_REQUIRED = 1_000
"""Decisions that one may rest on, by way of others, too."""


def add_decisions(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    asking, seeing = Depends(writing(service, *_ASKERS)), Depends(reading(service))

    @routes.post("/v1/decisions", status_code=201)
    async def model_decision(body: DecisionBody, call: Annotated[Call, asking]) -> JSONResponse:
        """State a decision and the models that inform it; said anew it is the next version, and the older ones stay.

        What it requires is stated already, and does not require it in turn."""
        context = call.context(body.at)
        said = body.model_dump(exclude={"name", "at", "owner", "models"})
        informing = tuple(Informing(model=item.model, how=item.how) for item in body.models)
        owner = body.owner or call.caller.actor
        decision = DecisionModelled(decision=body.name, version=0, owner=owner, models=informing, **said)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            if body.goal is not None:
                await need_goal(service, unit, body.goal)
            for item in body.models:
                await model_state(service, unit, item.model)
            for name in body.kpis:
                await need_kpi(service, unit, name)
            command = decisions.ModelDecision(decision, await _required(service, unit, decision))
            return await stated(service, unit, decisions, f"decision/{body.name}", command, context)

        return await call.in_unit(work)

    @routes.get("/v1/decisions")
    async def list_decisions(
        call: Annotated[Call, seeing], model: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Decisions by name: all, or those that a model informs, with `how` it does."""
        if model is None:
            return await page(service, Query("decisions", limit=limit), cursor)
        await one(service, "model", "models", model)
        return {"items": await informed_by(service, model), "next": None}

    @routes.get("/v1/decisions/{name}")
    async def one_decision(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A decision, the models that inform it with what they are, the decisions that require it, and its history.
        `requires_missing`: what it requires and nobody has stated, from a time when that was not asked for."""
        decision = await one(service, "decision", "decisions", name)
        models = [await _informing(service, said) for said in decision["models"]]
        history = await service.store.find(Query("decision_versions", equal(name=name), ("-version",), MAX_SHOWN))
        every = await _requirements(service)
        by = sorted(other for other, requires in every.items() if name in requires)
        missing = [one for one in decision["requires"] or [] if one not in every]
        return decision | {"models": models, "required_by": by, "requires_missing": missing, "versions": history}


async def _required(service: Service, unit: UnitOfWork, said: DecisionModelled) -> dict[str, tuple[str, ...]]:
    """What the decisions require that this one rests on. Raises Problem 404 `unknown-decision`, 422
    `too-many-required`."""
    found: dict[str, tuple[str, ...]] = {}
    if said.requires:
        await unit.lock(["decisions"])  # two that come to require each other at once would not see it
    asked = set(said.requires)
    while asked:
        if len(found) + len(asked) > MAX_REQUIRED:
            detail = f"'{said.decision}' would rest on more than {MAX_REQUIRED} decisions."
            raise Problem(422, "too-many-required", detail, "Require fewer.")
        await service.commands.read_ahead(unit, {f"decision/{name}": decisions for name in asked})
        for name in sorted(asked):
            _, state = await service.commands.state_in(unit, decisions, f"decision/{name}")
            if not state and name in said.requires:
                not_found("decision", name, await names(service, "decisions"))
            found[name] = state[-1].requires if state else ()
        asked = {name for one in asked for name in found[one]} - found.keys()
    return found


async def _requirements(service: Service) -> dict[str, tuple[str, ...]]:
    """What each decision requires, by its newest version."""
    found: dict[str, tuple[str, ...]] = {}
    after: tuple[str] | None = None
    while True:
        rows = await service.store.find(Query("decisions", limit=MAX_SHOWN, after=after, columns=("name", "requires")))
        found |= {row["name"]: tuple(row["requires"] or ()) for row in rows}
        if len(rows) < MAX_SHOWN:
            return found
        after = (rows[-1]["name"],)


async def informed_by(service: Service, model: str) -> list[Row]:
    """The decisions whose newest version says that this model informs them."""
    links = await service.store.find(Query("informing", equal(model=model), limit=MAX_SHOWN))
    found: list[Row] = []
    for link in links:
        decision = await service.store.get("decisions", link["decision"])
        if decision is not None and decision["version"] == link["version"]:
            told = {key: decision[key] for key in ("name", "version", "question", "owner", "goal")}
            found.append(told | {"how": link["how"]})
    return found


async def _informing(service: Service, said: dict[str, Any]) -> dict[str, Any]:
    """What the model is, in plain words, and which version its champion is."""
    row = await service.store.get("models", said["model"])
    champion = await service.store.get("aliases", said["model"], "champion")
    told = {key: row[key] if row else None for key in ("technique", "description", "goal", "newest_version")}
    return said | told | {"champion": champion["version"] if champion else None}
