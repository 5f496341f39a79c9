"""Evidence and approvals: what opens a gate."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import ApprovalBody, EvidenceBody
from services.registry.api.known import Limit, model_state, one
from services.registry.domain import models
from services.registry.domain.versions import check_plain
from services.registry.policies import policies_in
from shared.events.registry import ApprovalGranted, ApprovalRejected, EvidenceRecorded
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service
from shared.runtime.times import utc

_OF_VERSION = "/v1/models/{name}/versions/{version}"
_MEASURERS = (Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.DEVOPS, Role.RISK_MANAGER, Role.SERVICE)


def add_release(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _evidence(routes, service)
    _approvals(routes, service)


def _evidence(routes: APIRouter, service: Service) -> None:
    measuring, seeing = Depends(writing(service, *_MEASURERS)), Depends(reading(service))

    @routes.post(_OF_VERSION + "/evidence", status_code=201)
    async def record_evidence(
        name: str, version: int, body: EvidenceBody, call: Annotated[Call, measuring]
    ) -> JSONResponse:
        """Record what a test or a review found; the latest under each name counts."""
        check_plain(body.metrics, "metrics")
        context = call.context(body.at)
        found = body.model_dump(exclude={"at"})
        evidence = EvidenceRecorded(model=name, version=version, evidence=context.event_id, **found)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await model_state(service, unit, name)
            command = models.RecordEvidence(evidence, context.actor, await policies_in(service, unit, name), context.at)
            return await stated(service, unit, models, f"model/{name}", command, context)

        return await call.in_unit(work)

    @routes.get(_OF_VERSION + "/evidence")
    async def list_evidence(
        name: str, version: int, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Evidence in the order it came."""
        await one(service, "model", "models", name)
        return await page(service, Query("evidence", equal(model=name, version=version), ("at",), limit), cursor)


def _approvals(routes: APIRouter, service: Service) -> None:
    speaking, seeing = Depends(writing(service)), Depends(reading(service))

    @routes.post(_OF_VERSION + "/approvals", status_code=201)
    async def approve(name: str, version: int, body: ApprovalBody, call: Annotated[Call, speaking]) -> JSONResponse:
        """Approve or reject, in a role that the caller has; an approval may have conditions, and an end (`expires`)."""
        may_speak_as(call, body.role)
        context = call.context(body.at)
        expires = utc(body.expires)
        if body.decision == "reject" and (body.conditions or expires):
            raise Problem(422, "bad-approval", "Only an approval has conditions and an end; a rejection has a comment.")
        if expires is not None and expires <= context.at:
            raise Problem(422, "bad-approval", "The approval would have ended already; 'expires' lies in the future.")
        said = {"model": name, "version": version, "approval": context.event_id, "role": body.role}
        said["comment"] = body.comment
        approved = body.decision == "approve"
        word = (
            ApprovalGranted(**said, conditions=body.conditions, expires=expires)
            if approved
            else ApprovalRejected(**said)
        )

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await model_state(service, unit, name)
            command = models.Speak(word, context.actor, await policies_in(service, unit, name), context.at)
            return await stated(service, unit, models, f"model/{name}", command, context)

        return await call.in_unit(work)

    @routes.get(_OF_VERSION + "/approvals")
    async def list_approvals(
        name: str, version: int, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Approvals and rejections in the order they came."""
        await one(service, "model", "models", name)
        return await page(service, Query("approvals", equal(model=name, version=version), ("at",), limit), cursor)


def may_speak_as(call: Call, role: str) -> None:
    """Raises Problem 422 for no role, 403 for one that the caller does not have."""
    if role not in set(Role):
        raise Problem(422, "unknown-role", f"There is no role '{role}'.", f"Roles: {', '.join(Role)}.")
    if not call.caller.may(frozenset({Role(role)})):
        own = ", ".join(sorted(call.caller.roles))
        raise Problem(403, "not-allowed", f"{call.caller.actor} has {own}, and can't speak as {role}.", roles=[role])
