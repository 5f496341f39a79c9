"""History replayed under a proposed policy: what of the past it would have stopped, what it would have let through."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.registry.api.policies import policy_of
from services.registry.api.ruling_bodies import WhatIfBody
from services.registry.domain import policies
from services.registry.domain.model_state import Gate
from services.registry.domain.what_if import FlagSpan, Opening, Release, Verdict, openings_under, releases_under
from services.registry.policies import flag_of
from shared.events.registry import PolicyAdopted, Stage
from shared.log.tables import Query, Where, equal
from shared.runtime.commands import now
from shared.runtime.http import Call, reading
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import Instant, utc

MAX_MODELS = 1_000
MAX_FLAGS = 10_000
_START = datetime(1970, 1, 1, tzinfo=UTC)
_LISTS = ("stopped", "let_through", "kept_out")
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["stage", "policy", "releases", "versions", "complete", *_LISTS],
    "properties": {name: {"type": "array", "items": {"type": "object"}} for name in _LISTS},
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "What would have been.", "content": {"application/json": {"schema": _SCHEMA}}}
}
_NO_RELEASES = ("RolledBack",)
"""Ways back, which ask no gate."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: the policy, and the span of time."""

    policy: PolicyAdopted
    since: datetime
    until: datetime
    most: int


def add_what_if(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    seeing = Depends(reading(service))

    @routes.post("/v1/policies/what-if", responses=_ANSWER)
    async def what_if(body: WhatIfBody, call: Annotated[Call, seeing]) -> Answer:
        """Try a policy on the past: `stopped` are releases that it would not have allowed on their day, `let_through`
        versions whose gate it would have opened and that of the day never was; each with the rules that say why."""
        return Answer(await _tried(service, policy_of(body), body))

    @routes.get("/v1/policies/{stage}/proposals/{proposal}/what-if", responses=_ANSWER)
    async def what_if_adopted(
        stage: Stage,
        proposal: str,
        call: Annotated[Call, seeing],
        model: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> Answer:
        """The same of a policy that somebody proposed."""
        async with service.store.begin() as unit:
            _, state = await service.commands.state_in(unit, policies, f"policy/{stage}")
        found = state.proposals.get(proposal)
        if found is None:
            raise Problem(404, "unknown-proposal", f"No proposal {proposal:.100} waits for {stage}.", "See the list.")
        fields = found.policy.model_dump(exclude={"proposal", "table"})
        policy = PolicyAdopted(**fields, table=found.policy.table)
        return Answer(await _tried(service, policy, WhatIfBody(stage=stage, model=model, since=since, until=until)))


async def _tried(service: Service, policy: PolicyAdopted, body: WhatIfBody) -> dict[str, Any]:
    most = service.settings.what_if_releases
    asked = Asked(policy, utc(body.since) or _START, utc(body.until) or now(), most)
    where = equal(name=body.model) if body.model is not None else ()
    names = [
        row["name"] for row in await service.store.find(Query("models", where, limit=MAX_MODELS, columns=("name",)))
    ]
    if body.model is not None and not names:
        raise Problem(404, "unknown-model", f"There is no model '{body.model:.100}'.", "See /v1/models.")
    found: list[tuple[str, list[Verdict], list[Opening]]] = []
    for name in names:
        verdicts, openings = await _of_model(service, name, asked)
        found.append((name, verdicts, openings))
        if sum(len(verdicts) + len(openings) for _, verdicts, openings in found) >= most:
            break
    return _told(asked, found, complete=len(found) == len(names) < MAX_MODELS)


async def _of_model(service: Service, name: str, asked: Asked) -> tuple[list[Verdict], list[Opening]]:
    span = (Where("at", ">=", asked.since), Where("at", "<=", asked.until))
    rows = await service.store.find(Query("releases", (*equal(model=name), *span), ("at",), asked.most))
    flags = await service.store.find(Query("flags", equal(model=name), limit=MAX_FLAGS))
    spans = [FlagSpan(flag_of(row), row["opened"], row["closed"]) for row in flags if row["severity"] is not None]
    releases: list[Release] = []
    for row in rows:
        place = await service.store.get("environments", row["deployment"])
        if row["kind"] not in _NO_RELEASES and place is not None and place["environment"] == asked.policy.stage:
            releases.append(Release(row["event_id"], row["deployment"], row["version"], row["at"], row["actor"]))
    async with service.store.begin() as unit:
        events = await unit.load(f"model/{name}")

    def judged() -> tuple[list[Verdict], list[Opening]]:
        openings = openings_under(asked.policy, events, spans, asked.until)
        return releases_under(asked.policy, events, releases, spans), openings[: asked.most]

    return await asyncio.to_thread(judged)


def _told(asked: Asked, found: list[tuple[str, list[Verdict], list[Opening]]], complete: bool) -> dict[str, Any]:
    verdicts = [(name, verdict) for name, several, _ in found for verdict in several]
    openings = [(name, opening) for name, _, several in found for opening in several]
    return {
        "stage": asked.policy.stage,
        "policy": asked.policy.model_dump(mode="json", exclude={"dmn"}),
        "since": asked.since,
        "until": asked.until,
        "releases": len(verdicts),
        "versions": len(openings),
        "complete": complete,
        "stopped": [_verdict(name, one) for name, one in verdicts if not one.now.allowed],
        "let_through": [_opening(name, one) for name, one in openings if one.proposed and not one.on_record],
        "kept_out": [_opening(name, one) for name, one in openings if one.on_record and not one.proposed],
    }


def _verdict(name: str, verdict: Verdict) -> dict[str, Any]:
    release, then = verdict.release, verdict.then
    return {
        "model": name,
        "version": release.version,
        "deployment": release.deployment,
        "at": release.at,
        "actor": release.actor,
        "event_id": release.event,
        "policy_version_then": then.policy if then else None,
        "allowed_then": then.allowed if then else None,
        "rules": _failed(verdict.now),
    }


def _opening(name: str, opening: Opening) -> dict[str, Any]:
    return {
        "model": name,
        "version": opening.version,
        "opened_at": opening.on_record,
        "would_open_at": opening.proposed,
        "rules": _failed(opening.last),
    }


def _failed(gate: Gate) -> list[dict[str, Any]]:
    return [rule.model_dump(mode="json") for rule in gate.rules if not rule.passed]
