"""Gates: may a version go to a stage, why (not), and was it so on another day; and what eases them on record."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.known import Limit, ever, model_state, one
from services.registry.api.policies import policy_version
from services.registry.api.release import may_speak_as
from services.registry.api.ruling_bodies import ConditionBody, ExceptionBody, WithdrawBody
from services.registry.domain import models
from services.registry.domain.exempting import Ease, Eased
from services.registry.domain.gate import evaluate
from services.registry.policies import policies_in
from shared.events.registry import ConditionMet, ExceptionGranted, ExceptionWithdrawn, Stage
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Where, equal
from shared.runtime.commands import Context
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service
from shared.runtime.times import Instant, utc

_OF_VERSION = "/v1/models/{name}/versions/{version}"


def add_gates(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _asked(routes, service)
    _eased(routes, service)


def _asked(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get(_OF_VERSION + "/gate")
    async def gate(
        name: str,
        version: int,
        call: Annotated[Call, seeing],
        stage: Stage = "production",
        at: Instant | None = None,
    ) -> dict[str, Any]:
        """May this version go to the stage, and why (not)? By the policy in force now; with `at`, as it was stated
        last until then, with the policy of that day."""
        asked = {"model": name, "version": version, "stage": stage}
        if (moment := utc(at)) is not None:
            return asked | await _stated_at(service, asked, moment)
        async with service.store.begin() as unit:
            state = await model_state(service, unit, name)
            in_force = await policies_in(service, unit, name)
        policy = in_force[stage]
        found = evaluate(policy, state, models.version_of(state, version), in_force.seen)
        said = {"policy_version": policy.version, "allowed": found.allowed, "until": found.until}
        return asked | said | {"rules": [rule.model_dump(mode="json") for rule in found.rules]}

    @routes.get(_OF_VERSION + "/gate/history")
    async def gate_history(
        name: str,
        version: int,
        call: Annotated[Call, seeing],
        stage: Stage = "production",
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """How the gate changed, the newest first: when, by whom, by which version of the policy, which rules."""
        await one(service, "model", "models", name)
        where = equal(model=name, version=version, stage=stage)
        return await page(service, Query("gate_changes", (*where, *ever("sequence")), ("-sequence",), limit), cursor)


def _eased(routes: APIRouter, service: Service) -> None:
    seeing, speaking = Depends(reading(service)), Depends(writing(service))
    ruling = Depends(writing(service, Role.RISK_MANAGER))

    async def ease(call: Call, fact: Eased, context: Context) -> JSONResponse:
        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await model_state(service, unit, fact.model)
            in_force = await policies_in(service, unit, fact.model)
            command = Ease(fact, context.actor, context.at, service.settings.exception_days, in_force)
            return await stated(service, unit, models, f"model/{fact.model}", command, context)

        return await call.in_unit(work)

    @routes.post(_OF_VERSION + "/exceptions", status_code=201)
    async def grant_exception(
        name: str, version: int, body: ExceptionBody, call: Annotated[Call, ruling]
    ) -> JSONResponse:
        """Let one rule of a stage's gate pass although it does not hold, by name, for a time and for a reason. Not for
        one's own version; never for `four-eyes`, `not-rejected` and `not-retired`."""
        may_speak_as(call, body.role)
        context = call.context(body.at)
        said = body.model_dump(include={"stage", "rule", "role", "reason"})
        granted = {"model": name, "version": version, "exception": context.event_id, "expires": utc(body.expires)}
        return await ease(call, ExceptionGranted(**granted, **said), context)

    @routes.get(_OF_VERSION + "/exceptions")
    async def list_exceptions(
        name: str, version: int, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Exceptions that were ever granted to a version, with who withdrew them."""
        await one(service, "model", "models", name)
        return await page(service, Query("exceptions", equal(model=name, version=version), ("at",), limit), cursor)

    @routes.post(_OF_VERSION + "/exceptions/{exception}/withdraw", status_code=201)
    async def withdraw_exception(
        name: str, version: int, exception: str, body: WithdrawBody, call: Annotated[Call, ruling]
    ) -> JSONResponse:
        """End an exception before its time."""
        fact = ExceptionWithdrawn(model=name, version=version, exception=exception, reason=body.reason)
        return await ease(call, fact, call.context(body.at))

    @routes.post(_OF_VERSION + "/approvals/{approval}/conditions", status_code=201)
    async def condition_met(
        name: str, version: int, approval: str, body: ConditionBody, call: Annotated[Call, speaking]
    ) -> JSONResponse:
        """Say that a condition of an approval was met. Not for one's own version."""
        said = {"approval": approval, "condition": body.condition, "comment": body.comment}
        return await ease(call, ConditionMet(model=name, version=version, **said), call.context(body.at))


async def _stated_at(service: Service, asked: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """The gate as it was stated last until a moment. Raises Problem 404 where nothing was stated by then."""
    where = (*equal(**asked), Where("at", "<=", moment), *ever("sequence"))
    rows = await service.store.find(Query("gate_changes", where, ("-sequence",), 1))
    if not rows:
        detail = f"Nothing was stated about this gate of version {asked['version']} until {moment:%Y-%m-%dT%H:%M:%SZ}."
        raise Problem(404, "no-gate-then", detail, "See …/gate/history for what was stated when.")
    row = rows[0]
    kept = {name: row[name] for name in ("allowed", "rules", "policy_version", "until", "at", "actor", "event_id")}
    number = row["policy_version"]
    policy = None if number is None else (await policy_version(service, asked["stage"], number))["policy"]
    return kept | {"policy": policy}
