"""What clients send about policies, exceptions and conditions."""

from typing import Annotated, Literal

from pydantic import Field

from services.registry.api.bodies import Body, Name, Text
from shared.events import registry as facts
from shared.runtime.times import Instant

Days = Annotated[int, Field(ge=1, le=36_500)]
Roles = Annotated[tuple[Name, ...], Field(max_length=20)]


class PolicyBody(Body):
    """What a stage demands. `table`: what it demands besides, by risk tier and the like; or `dmn`, the XML of a
    decision model whose table (`dmn_decision`, where it has several) is read. `propose`: let a second person adopt it.
    """

    stage: facts.Stage
    evidence: tuple[facts.EvidenceKind, ...] = ()
    approvals: Roles = ()
    four_eyes: bool = True
    goal_required: bool = True
    evidence_days: Days | None = None
    approval_days: Days | None = None
    flags: facts.FlagSeverity | None = None
    conditions_met: bool = False
    table: facts.PolicyTable | None = None
    two_to_change: bool = False
    dmn: Annotated[str, Field(max_length=2**20)] = ""
    dmn_decision: Name | None = None
    comment: Text = ""
    propose: bool = False


class DecisionBody(Body):
    decision: Literal["adopt", "decline"]
    comment: Text = ""


class ExceptionBody(Body):
    """One rule need not hold until `expires`; `role`: in which the caller says so."""

    stage: facts.Stage = "production"
    rule: Name
    role: Name = "risk_manager"
    reason: Annotated[str, Field(min_length=1, max_length=20_000)]
    expires: Instant


class WithdrawBody(Body):
    reason: Annotated[str, Field(min_length=1, max_length=20_000)]


class ConditionBody(Body):
    condition: Annotated[str, Field(min_length=1, max_length=1_000)]
    comment: Text = ""


class WhatIfBody(PolicyBody):
    """A policy that nobody has adopted, and which past it is tried on: `model` (None: all), from `since` to `until`."""

    model: Name | None = None
    since: Instant | None = None
    until: Instant | None = None
