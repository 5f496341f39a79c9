"""The rules of a gate one by one: each says whether it holds, why (not), and on which events that rests."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from services.registry.domain.demands import SEVERITIES, Demands
from services.registry.domain.model_state import Approval, Evidence, ModelState, VersionState
from services.registry.domain.seen import Seen
from shared.events.registry import FlagSeverity, Rule

NAMED = 3


def goal(model: ModelState) -> Rule:
    name = model.registered.goal if model.registered else None
    if name is None:
        return Rule(rule="goal-stated", passed=False, reason="The model serves no goal.")
    return Rule(rule="goal-stated", passed=True, reason=f"The model serves goal '{name}'.", evidence=(model.event_id,))


def evidence(kind: str, version: VersionState, days: int | None, seen: Seen) -> Rule:
    latest = _latest(kind, version)
    failed = [item for item in latest if not item.passed]
    stale = [item for item in latest if seen.past(_end(item.at, days))]
    rule = f"evidence-{kind}"
    if not latest:
        return Rule(rule=rule, passed=False, reason=f"There is no evidence of {kind} yet.")
    if failed:
        reason = f"The latest evidence of {kind} failed: {_names(failed)}."
        return Rule(rule=rule, passed=False, reason=reason, evidence=tuple(item.id for item in failed))
    if stale:
        reason = f"Evidence of {kind} is older than {days} days: {_names(stale)}. Record it anew."
        return Rule(rule=rule, passed=False, reason=reason, evidence=tuple(item.id for item in stale))
    reason = f"All evidence of {kind} passed: {_names(latest)}."
    return Rule(rule=rule, passed=True, reason=reason, evidence=tuple(item.id for item in latest))


def approval(role: str, approvals: Sequence[Approval], days: int | None, seen: Seen) -> Rule:
    said = [one for one in approvals if one.role == role]
    rule = f"approval-{role}"
    if not said:
        return Rule(rule=rule, passed=False, reason=f"No {role} has approved yet.")
    last = said[-1]
    if not last.granted:
        return Rule(rule=rule, passed=False, reason=f"{last.actor} rejected as {role}.", evidence=(last.id,))
    counting = [one for one in standing(role, approvals) if not seen.past(_lapse(one, days))]
    if not counting:
        reason = f"{last.actor} approved as {role}, and that counted until {instant(_lapse(last, days))}."
        return Rule(rule=rule, passed=False, reason=reason, evidence=(last.id,))
    last = counting[-1]
    under = f" on condition: {'; '.join(last.conditions)}" if last.conditions else ""
    return Rule(rule=rule, passed=True, reason=f"{last.actor} approved as {role}{under}.", evidence=(last.id,))


def four_eyes(roles: Mapping[str, int | None], version: VersionState, seen: Seen) -> Rule:
    found: list[str] = []
    for role, days in roles.items():
        counting = [one for one in standing(role, version.approvals) if not seen.past(_lapse(one, days))]
        others = [one.id for one in counting if one.actor != version.author]
        if counting and not others:
            reason = f"{version.author} registered the version and is alone in approving it as {role}."
            return Rule(rule="four-eyes", passed=False, reason=reason, evidence=tuple(one.id for one in counting))
        found += others
    reason = f"No approval rests on {version.author} alone, who registered the version."
    return Rule(rule="four-eyes", passed=True, reason=reason, evidence=tuple(found))


def standing(role: str, approvals: Sequence[Approval]) -> list[Approval]:
    """The approvals of a role that no later rejection of that role has taken back."""
    found: list[Approval] = []
    for one in approvals:
        if one.role == role:
            found = [*found, one] if one.granted else []
    return found


def not_rejected(required: Iterable[str], approvals: Sequence[Approval]) -> Rule:
    rejections: list[Approval] = []
    for one in approvals:
        if not one.granted:
            rejections.append(one)
        elif one.role in required:
            rejections = []
        else:
            rejections = [said for said in rejections if said.role != one.role]
    if not rejections:
        return Rule(rule="not-rejected", passed=True, reason="No rejection stands.")
    last = rejections[-1]
    reason = f"{last.actor} rejected the version as {last.role}, and no approval came since."
    return Rule(rule="not-rejected", passed=False, reason=reason, evidence=tuple(one.id for one in rejections))


def conditions_met(roles: Mapping[str, int | None], version: VersionState, seen: Seen) -> Rule:
    counting = [
        one
        for role, days in roles.items()
        for one in standing(role, version.approvals)
        if not seen.past(_lapse(one, days))
    ]
    unmet = [(one, text) for one in counting for text in one.conditions if (one.id, text) not in version.met]
    if not unmet:
        return Rule(rule="conditions-met", passed=True, reason="No approval has a condition that was not met.")
    texts = "; ".join(text for _, text in unmet[:NAMED])
    reason = f"Approved on conditions of which {len(unmet)} were not met yet: {texts}."
    return Rule(rule="conditions-met", passed=False, reason=reason, evidence=tuple({one.id: 0 for one, _ in unmet}))


def flags(limit: FlagSeverity, version: VersionState, seen: Seen) -> Rule:
    model, number = version.registered.model, version.registered.version
    counting = SEVERITIES[SEVERITIES.index(limit) :]
    mine = [one for one in seen.flags if one.model == model and one.version in (None, number)]
    blocking = [one for one in mine if one.severity in counting]
    rule, what = f"no-{limit}-flags", limit if limit == "critical" else f"{limit} or graver"
    if not blocking:
        return Rule(rule=rule, passed=True, reason=f"No {what} flag is open.")
    named = ", ".join(one.flag for one in blocking[:NAMED]) + (", …" if len(blocking) > NAMED else "")
    reason = f"{len(blocking)} {what} flag(s) open: {named}. Resolve them first."
    return Rule(rule=rule, passed=False, reason=reason, evidence=tuple(one.flag for one in blocking[:100]))


def lapses(demands: Demands, version: VersionState, seen: Seen) -> list[datetime]:
    """Every moment yet to come at which something that is demanded lapses."""
    ends = [_end(item.at, days) for kind, days in demands.evidence.items() for item in _latest(kind, version)]
    for role, days in demands.approvals.items():
        ends += [_lapse(one, days) for one in standing(role, version.approvals)]
    return [end for end in ends if end is not None and seen.at is not None and end > seen.at]


def instant(moment: datetime | None) -> str:
    """A moment for people, in UTC to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "now"


def _latest(kind: str, version: VersionState) -> list[Evidence]:
    latest = {item.name: item for item in version.evidence if item.kind == kind}
    return list(latest.values())


def _names(items: Iterable[Evidence]) -> str:
    return ", ".join(sorted(item.name for item in items))


def _end(at: datetime | None, days: int | None) -> datetime | None:
    return None if at is None or days is None else at + timedelta(days=days)


def _lapse(one: Approval, days: int | None) -> datetime | None:
    """When an approval counts no more: by its own word, or by its age."""
    return min((end for end in (one.expires, _end(one.at, days)) if end is not None), default=None)
