"""Policies: what the gate of a stage demands of a version. Stream `policy/{stage}`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.registry.domain.frozen import differences
from shared.events.envelope import Event, Payload
from shared.events.registry import PolicyAdopted, Stage

STAGES: tuple[Stage, ...] = ("staging", "production")

DEFAULTS: Mapping[Stage, PolicyAdopted] = {
    "staging": PolicyAdopted(
        stage="staging", version=0, evidence=("quality",), approvals=(), four_eyes=False, goal_required=False
    ),
    "production": PolicyAdopted(stage="production", version=0, evidence=("quality",), approvals=("risk_manager",)),
}
"""In force until a policy is adopted: version 0."""

initial: PolicyAdopted | None = None


@dataclass(frozen=True, slots=True)
class AdoptPolicy:
    """`policy.version` is not looked at: the decision counts."""

    policy: PolicyAdopted


def decide(state: PolicyAdopted | None, command: AdoptPolicy) -> Sequence[Payload]:
    """The next version of the policy, or nothing where it demands what is demanded already."""
    current = state or DEFAULTS[command.policy.stage]
    if not differences(current, command.policy, ignored=("version",)):
        return []
    return [command.policy.model_copy(update={"version": current.version + 1})]


def evolve(state: PolicyAdopted | None, event: Event) -> PolicyAdopted | None:
    return event.data if isinstance(event.data, PolicyAdopted) else state
