"""Policies: what a stage demands, as versions that people propose, adopt and can read again."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.known import Limit, ever
from services.registry.api.ruling_bodies import DecisionBody, PolicyBody
from services.registry.domain import policies
from services.registry.domain.dmn_table import table_of
from services.registry.policies import policies_in
from shared.events.registry import PolicyAdopted, Stage
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service


def add_policies(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    ruling, seeing = Depends(writing(service, Role.RISK_MANAGER)), Depends(reading(service))
    two_people = service.settings.policy_two_people

    @routes.post("/v1/policies", status_code=201)
    async def adopt_policy(body: PolicyBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Say what the gate of a stage demands from now on; every gate is looked at again.

        Where the policy in force says `two_to_change`, or `propose` asks for it, this is a proposal (`state`: proposed)
        that somebody else has to adopt."""
        context = call.context(body.at)
        command = policies.AdoptPolicy(policy_of(body), context.event_id, body.propose or two_people)

        def told(events: Any) -> dict[str, Any]:
            adopted = isinstance(events[0].data, PolicyAdopted)
            proposal = {} if adopted else {"proposal": context.event_id}
            return {"version": events[0].data.version, "state": "adopted" if adopted else "proposed"} | proposal

        return await call.write(policies, f"policy/{body.stage}", command, context=context, answer=told)

    @routes.get("/v1/policies")
    async def list_policies(call: Annotated[Call, seeing]) -> dict[str, Any]:
        """The policy in force of each stage; version 0 is the one that holds until another is adopted."""
        async with service.store.begin() as unit:
            in_force = await policies_in(service, unit)
        return {"items": [policy.model_dump(mode="json") for policy in in_force.values()], "next": None}

    @routes.get("/v1/policies/{stage}/versions")
    async def list_policy_versions(
        stage: Stage, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Every policy that a stage ever had, the newest first, with who proposed and who adopted it."""
        return await page(service, Query("policy_versions", equal(stage=stage), ("-version",), limit), cursor)

    @routes.get("/v1/policies/{stage}/versions/{version}")
    async def one_policy(stage: Stage, version: int, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """One version of a policy; 0 is the built-in one."""
        return await policy_version(service, stage, version)

    @routes.get("/v1/policies/{stage}/proposals")
    async def list_proposals(
        stage: Stage, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Proposals, the newest first, and what became of them: waiting, adopted or declined."""
        return await page(
            service, Query("policy_proposals", (*equal(stage=stage), *ever("at")), ("-at",), limit), cursor
        )

    @routes.post("/v1/policies/{stage}/proposals/{proposal}/decision", status_code=201)
    async def decide_proposal(
        stage: Stage, proposal: str, body: DecisionBody, call: Annotated[Call, ruling]
    ) -> JSONResponse:
        """Adopt or decline what somebody else proposed. 409 `four-eyes` for the author, `stale-proposal` where another
        policy was adopted since."""
        context = call.context(body.at)
        adopt = body.decision == "adopt"
        command = policies.DecideProposal(stage, proposal, adopt, context.actor, body.comment)
        return await call.write(policies, f"policy/{stage}", command, context=context)


def policy_of(body: PolicyBody) -> PolicyAdopted:
    """The policy that was sent, its table read. Raises Problem 422 `unknown-role`, `two-tables`; Refused 422."""
    sent = body.model_dump(include=set(PolicyAdopted.model_fields) - {"table"})
    table = body.table
    if body.dmn:
        if body.table is not None:
            raise Problem(422, "two-tables", "Send the table, or the DMN that it is read from; not both.")
        table = table_of(body.dmn, body.dmn_decision)
        sent["dmn_sha256"] = hashlib.sha256(body.dmn.encode()).hexdigest()
    roles = [*body.approvals, *(role for row in (table.rows if table else ()) for role in row.approvals)]
    if unknown := [role for role in roles if role not in set(Role)]:
        raise Problem(422, "unknown-role", f"There is no role {unknown[0]}.", f"Roles: {', '.join(Role)}.")
    policy = PolicyAdopted(version=0, table=table, **sent)
    policies.check(policy)
    return policy


async def policy_version(service: Service, stage: Stage, version: int) -> dict[str, Any]:
    """One version of a stage's policy from the view. Raises Problem 404."""
    if version == 0:
        policy = policies.DEFAULTS[stage].model_dump(mode="json", exclude={"dmn"})
        return {"stage": stage, "version": 0, "policy": policy, "actor": None, "at": None}
    row = await service.store.get("policy_versions", stage, version)
    if row is None:
        detail = f"There is no version {version} of the policy for {stage}."
        raise Problem(404, "unknown-policy", detail, "See the list.")
    return row
