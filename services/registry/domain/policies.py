"""Policies: what the gate of a stage demands of a version. Stream `policy/{stage}`.

Where the policy in force says `two_to_change`, or the installation does, one person proposes and another one adopts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.registry.domain.decision_table import check_table
from services.registry.domain.demands import KNOWN
from services.registry.domain.frozen import differences
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import PolicyAdopted, PolicyDeclined, PolicyPayload, PolicyProposed, Stage

STAGES: tuple[Stage, ...] = ("staging", "production")
MAX_PROPOSALS = 100

DEFAULTS: Mapping[Stage, PolicyAdopted] = {
    "staging": PolicyAdopted(
        stage="staging", version=0, evidence=("quality",), approvals=(), four_eyes=False, goal_required=False
    ),
    "production": PolicyAdopted(
        stage="production", version=0, evidence=("quality",), approvals=("risk_manager",), flags="critical"
    ),
}
"""In force until a policy is adopted: version 0."""

_WHO = ("proposal", "proposed_by")


@dataclass(frozen=True, slots=True)
class Proposed:
    policy: PolicyProposed
    author: str


@dataclass(frozen=True, slots=True)
class PolicyState:
    """`adopted`: the policy in force, where one was adopted; `proposals`: those that nobody has decided on yet."""

    adopted: PolicyAdopted | None = None
    proposals: Mapping[str, Proposed] = field(default_factory=dict[str, Proposed])


initial = PolicyState()


@dataclass(frozen=True, slots=True)
class AdoptPolicy:
    """`policy.version` is not looked at: the decision counts. `proposal`: the id of a proposal, where it takes two.

    `two`: whether the installation says that it takes two, or the caller wants it so."""

    policy: PolicyAdopted
    proposal: str = ""
    two: bool = False


@dataclass(frozen=True, slots=True)
class DecideProposal:
    """Adopt or decline what somebody proposed."""

    stage: Stage
    proposal: str
    adopt: bool
    actor: str
    comment: str = ""


def in_force(state: PolicyState, stage: Stage) -> PolicyAdopted:
    """The policy adopted last, or the built-in one."""
    return state.adopted or DEFAULTS[stage]


def check(policy: PolicyPayload) -> None:
    """Raises Refused 422 `bad-table`, `bad-days`."""
    if any(days is not None and days < 1 for days in (policy.evidence_days, policy.approval_days)):
        detail = "evidence_days and approval_days count from 1; leave them out for no limit."
        raise Refused("bad-days", detail, status=422)
    if policy.table is not None:
        check_table(policy.table, KNOWN)


def decide(state: PolicyState, command: AdoptPolicy | DecideProposal) -> Sequence[Payload]:
    """The next version of the policy or a proposal; nothing where it demands what is demanded already.

    Raises Refused: 422 `bad-table`, 404 `unknown-proposal`, 409 `four-eyes`, `stale-proposal`, `too-many-proposals`."""
    if isinstance(command, DecideProposal):
        return _decided(state, command)
    check(command.policy)
    current = in_force(state, command.policy.stage)
    if not differences(current, command.policy, ignored=("version", "comment", *_WHO)):
        return []
    following = command.policy.model_copy(update={"version": current.version + 1})
    if not (command.two or current.two_to_change):
        return [following]
    if len(state.proposals) >= MAX_PROPOSALS:
        raise Refused("too-many-proposals", f"{MAX_PROPOSALS} proposals wait; decide on some of them first.")
    return [PolicyProposed(**_demands(following), proposal=command.proposal)]


def _decided(state: PolicyState, command: DecideProposal) -> Sequence[Payload]:
    proposed = state.proposals.get(command.proposal)
    if proposed is None:
        waiting = list(state.proposals)[-5:]
        detail = f"No proposal {command.proposal} waits for {command.stage}; there are {', '.join(waiting) or 'none'}."
        raise Refused("unknown-proposal", detail, status=404, nearby=waiting)
    if not command.adopt:
        return [PolicyDeclined(stage=command.stage, proposal=command.proposal, comment=command.comment)]
    if proposed.author == command.actor:
        raise Refused("four-eyes", f"{command.actor} proposed this policy; somebody else has to adopt it.")
    if proposed.policy.version != in_force(state, command.stage).version + 1:
        detail = "Another policy was adopted since this one was proposed. Propose it again on top of that."
        raise Refused("stale-proposal", detail)
    demands = _demands(proposed.policy)
    return [PolicyAdopted(**demands, proposal=command.proposal, proposed_by=proposed.author)]


def _demands(policy: PolicyPayload) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in PolicyPayload.model_fields}


def evolve(state: PolicyState, event: Event) -> PolicyState:
    match event.data:
        case PolicyAdopted() as adopted:
            return replace(state, adopted=adopted, proposals=_without(state, adopted.proposal))
        case PolicyProposed() as policy:
            return replace(state, proposals={**state.proposals, policy.proposal: Proposed(policy, event.actor)})
        case PolicyDeclined(proposal=name):
            return replace(state, proposals=_without(state, name))
        case _:
            return state


def _without(state: PolicyState, proposal: str) -> dict[str, Proposed]:
    return {name: one for name, one in state.proposals.items() if name != proposal}
