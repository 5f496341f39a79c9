"""The gate of a stage: may a version go there, and why (not)? Each rule alone can block.

- `not-retired`: told of a version that was retired, and never holds.
- `policy-table`: told where the policy's table says nothing clear about the version, and never holds.
- `goal-stated`: the model serves a goal.
- `evidence-{kind}`: there is evidence of that kind, the latest under every name passed and is not too old.
- `approval-{role}`: the last word of somebody in that role was an approval that still counts.
- `four-eyes`: no role's approval rests on the version's author alone.
- `not-rejected`: no rejection stands; it falls by a later approval of the same role or of a required one.
- `conditions-met`: every condition of the approvals that count was met.
- `no-{severity}-flags`: no flag of that severity or above is open on the version.

A rule that does not hold passes all the same while an exception for it is in force.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import get_args

from services.registry.domain import gate_rules as rules
from services.registry.domain.demands import demands_of
from services.registry.domain.model_state import Exempted, Gate, ModelState, VersionState, version_of
from services.registry.domain.seen import OpenFlag, Seen
from shared.events.registry import EvidenceKind, FlagSeverity, GateChanged, PolicyAdopted, PolicyPayload, Rule, Stage

__all__ = ["EXCEPTED", "UNEXCEPTED", "InForce", "OpenFlag", "Policies", "Seen", "evaluate", "gate_changes", "seen_by"]

UNEXCEPTED = frozenset({"not-retired", "policy-table", "four-eyes", "not-rejected"})
"""Rules for which no exception can be granted."""

EXCEPTED = re.compile(
    r"goal-stated|conditions-met|approval-\w+"
    rf"|evidence-({'|'.join(get_args(EvidenceKind))})|no-({'|'.join(get_args(FlagSeverity))})-flags"
)
"""Those for which one can."""


@dataclass(frozen=True, slots=True)
class InForce(Mapping[Stage, PolicyAdopted]):
    """The policies in force, with what else gates are judged by at the moment of a command."""

    policies: Mapping[Stage, PolicyAdopted]
    seen: Seen = field(default_factory=Seen)

    def __getitem__(self, stage: Stage) -> PolicyAdopted:
        return self.policies[stage]

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.policies)

    def __len__(self) -> int:
        return len(self.policies)


Policies = Mapping[Stage, PolicyAdopted]
"""An InForce wherever time and flags count."""


def seen_by(policies: Policies) -> Seen:
    """What came with the policies."""
    return policies.seen if isinstance(policies, InForce) else Seen()


def evaluate(policy: PolicyPayload, model: ModelState, version: VersionState, seen: Seen | None = None) -> Gate:
    """Every rule that the policy holds this version to, whether all of them passed, and until when that stands."""
    seen = seen or Seen()
    demands = demands_of(policy, model, version)
    roles = demands.approvals
    found: list[Rule] = []
    if version.retired is not None:
        found.append(Rule(rule="not-retired", passed=False, reason=f"The version was retired: {version.retired}."))
    if demands.unclear is not None:
        found.append(Rule(rule="policy-table", passed=False, reason=demands.unclear))
    if demands.goal_required:
        found.append(rules.goal(model))
    found += [rules.evidence(kind, version, days, seen) for kind, days in demands.evidence.items()]
    found += [rules.approval(role, version.approvals, days, seen) for role, days in roles.items()]
    if roles:
        if demands.four_eyes:
            found.append(rules.four_eyes(roles, version, seen))
        found.append(rules.not_rejected(roles, version.approvals))
        if demands.conditions_met:
            found.append(rules.conditions_met(roles, version, seen))
    if demands.flags is not None:
        found.append(rules.flags(demands.flags, version, seen))
    lapses = rules.lapses(demands, version, seen)
    excepted = [_excepted(rule, policy.stage, version, seen, lapses) for rule in found]
    return Gate(all(rule.passed for rule in excepted), tuple(excepted), min(lapses, default=None))


def _excepted(rule: Rule, stage: Stage, version: VersionState, seen: Seen, lapses: list[datetime]) -> Rule:
    if rule.passed or rule.rule in UNEXCEPTED:
        return rule
    granted = [one for one in version.exceptions if _covers(one, rule, stage) and not seen.past(one.expires)]
    if not granted:
        return rule
    last = max(granted, key=lambda one: one.expires)
    lapses.append(last.expires)
    why = last.reason.strip()
    stop = "" if why.endswith((".", "!", "?")) else "."
    until = rules.instant(last.expires)
    reason = f"{last.actor} made an exception until {until}: {why}{stop} Without it: {rule.reason}"
    passed = {"passed": True, "reason": reason, "exception": last.id, "evidence": (*rule.evidence, last.id)}
    return rule.model_copy(update=passed)


def _covers(one: Exempted, rule: Rule, stage: Stage) -> bool:
    return one.rule == rule.rule and one.stage == stage


def gate_changes(policies: Policies, model: ModelState, number: int) -> list[GateChanged]:
    """What of a version's gates is no longer as it was last stated."""
    version = version_of(model, number)
    seen = seen_by(policies)
    changed: list[GateChanged] = []
    for stage, policy in policies.items():
        gate = evaluate(policy, model, version, seen)
        stated = version.gates.get(stage)
        if stated is None or gate != replace(stated, policy=None):
            changed.append(
                GateChanged(
                    model=version.registered.model,
                    version=number,
                    stage=stage,
                    allowed=gate.allowed,
                    rules=gate.rules,
                    policy_version=policy.version,
                    until=gate.until,
                )
            )
    return changed
