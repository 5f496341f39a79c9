"""The gate of a stage: may a version go there, and why (not)? Each rule alone can block.

- `goal-stated`: the model serves a goal.
- `evidence-{kind}`: there is evidence of that kind, and the latest under every name passed.
- `approval-{role}`: the last word of somebody in that role was an approval.
- `four-eyes`: no role's approval rests on the version's author alone.
- `not-rejected`: no rejection stands; it falls by a later approval of the same role or of a required one.
"""

from collections.abc import Mapping, Sequence

from services.registry.domain.model_state import Approval, Evidence, Gate, ModelState, VersionState
from shared.events.registry import GateChanged, PolicyAdopted, Rule, Stage

Policies = Mapping[Stage, PolicyAdopted]


def evaluate(policy: PolicyAdopted, model: ModelState, version: VersionState) -> Gate:
    """Every rule that the policy holds this version to, and whether all of them passed."""
    rules: list[Rule] = []
    if policy.goal_required:
        rules.append(_goal(model))
    rules += [_evidence(kind, version) for kind in policy.evidence]
    rules += [_approval(role, version.approvals) for role in policy.approvals]
    if policy.approvals:
        if policy.four_eyes:
            rules.append(_four_eyes(policy.approvals, version))
        rules.append(_not_rejected(policy.approvals, version.approvals))
    return Gate(all(rule.passed for rule in rules), tuple(rules))


def gate_changes(policies: Policies, model: ModelState, number: int) -> list[GateChanged]:
    """What of a version's gates is no longer as it was last stated."""
    version = model.versions[number]
    changed: list[GateChanged] = []
    for stage, policy in policies.items():
        gate = evaluate(policy, model, version)
        if gate != version.gates.get(stage):
            changed.append(
                GateChanged(
                    model=version.registered.model,
                    version=number,
                    stage=stage,
                    allowed=gate.allowed,
                    rules=gate.rules,
                )
            )
    return changed


def _goal(model: ModelState) -> Rule:
    goal = model.registered.goal if model.registered else None
    if goal is None:
        return Rule(rule="goal-stated", passed=False, reason="The model serves no goal.")
    return Rule(rule="goal-stated", passed=True, reason=f"The model serves goal '{goal}'.", evidence=(model.event_id,))


def _evidence(kind: str, version: VersionState) -> Rule:
    latest: dict[str, Evidence] = {item.name: item for item in version.evidence if item.kind == kind}
    failed = [item for item in latest.values() if not item.passed]
    rule = f"evidence-{kind}"
    if not latest:
        return Rule(rule=rule, passed=False, reason=f"There is no evidence of {kind} yet.")
    if failed:
        names = ", ".join(sorted(item.name for item in failed))
        reason = f"The latest evidence of {kind} failed: {names}."
        return Rule(rule=rule, passed=False, reason=reason, evidence=tuple(item.id for item in failed))
    reason = f"All evidence of {kind} passed: {', '.join(sorted(latest))}."
    return Rule(rule=rule, passed=True, reason=reason, evidence=tuple(item.id for item in latest.values()))


def _approval(role: str, approvals: Sequence[Approval]) -> Rule:
    said = [approval for approval in approvals if approval.role == role]
    rule = f"approval-{role}"
    if not said:
        return Rule(rule=rule, passed=False, reason=f"No {role} has approved yet.")
    last = said[-1]
    word = "approved" if last.granted else "rejected"
    return Rule(rule=rule, passed=last.granted, reason=f"{last.actor} {word} as {role}.", evidence=(last.id,))


def _four_eyes(roles: Sequence[str], version: VersionState) -> Rule:
    evidence: list[str] = []
    for role in roles:
        standing = _standing(role, version.approvals)
        others = [approval.id for approval in standing if approval.actor != version.author]
        if standing and not others:
            reason = f"{version.author} registered the version and is alone in approving it as {role}."
            return Rule(rule="four-eyes", passed=False, reason=reason, evidence=tuple(it.id for it in standing))
        evidence += others
    reason = f"No approval rests on {version.author} alone, who registered the version."
    return Rule(rule="four-eyes", passed=True, reason=reason, evidence=tuple(evidence))


def _standing(role: str, approvals: Sequence[Approval]) -> list[Approval]:
    """The approvals of a role that no later rejection of that role has taken back."""
    standing: list[Approval] = []
    for approval in approvals:
        if approval.role == role:
            standing = [*standing, approval] if approval.granted else []
    return standing


def _not_rejected(required: Sequence[str], approvals: Sequence[Approval]) -> Rule:
    rejections: list[Approval] = []
    for approval in approvals:
        if not approval.granted:
            rejections.append(approval)
        elif approval.role in required:
            rejections = []
        else:
            rejections = [one for one in rejections if one.role != approval.role]
    if not rejections:
        return Rule(rule="not-rejected", passed=True, reason="No rejection stands.")
    last = rejections[-1]
    reason = f"{last.actor} rejected the version as {last.role}, and no approval came since."
    return Rule(rule="not-rejected", passed=False, reason=reason, evidence=tuple(one.id for one in rejections))
