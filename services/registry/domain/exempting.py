"""What eases a gate on record: exceptions by name and for a time, and conditions of approvals that were met."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.registry.domain.gate import EXCEPTED, UNEXCEPTED, Policies, gate_changes
from services.registry.domain.model_state import ModelState, after, version_of
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import ConditionMet, ExceptionGranted, ExceptionWithdrawn

Eased = ConditionMet | ExceptionGranted | ExceptionWithdrawn


@dataclass(frozen=True, slots=True)
class Ease:
    """`fact`: what is said; `at`: when; `most_days`: for how long an exception may last."""

    fact: Eased
    actor: str
    at: datetime
    most_days: int
    policies: Policies


def decide(state: ModelState, command: Ease) -> Sequence[Payload]:
    """The fact and the gates that it changes. Raises Refused: 404, 409 `four-eyes`, 422 `bad-exception`."""
    fact = command.fact
    version = version_of(state, fact.version)
    match fact:
        case ConditionMet():
            conditions = {one.id: one.conditions for one in version.approvals if one.granted}.get(fact.approval, ())
            if fact.condition not in conditions:
                detail = f"Approval {fact.approval} has no such condition; it has {list(conditions)}."
                raise Refused("unknown-condition", detail, status=404)
            if (fact.approval, fact.condition) in version.met:
                return []
            _other(version.author, command.actor, "say that its conditions are met")
        case ExceptionGranted():
            _other(version.author, command.actor, "grant it an exception")
            _check(fact, command)
        case ExceptionWithdrawn():
            if fact.exception not in {one.id for one in version.exceptions}:
                detail = f"Version {fact.version} has no exception {fact.exception} in force."
                raise Refused("unknown-exception", detail, status=404)
    stated = after(state, fact, command.actor, "", command.at)
    return [fact, *gate_changes(command.policies, stated, fact.version)]


def _other(author: str, actor: str, what: str) -> None:
    if author == actor:
        raise Refused("four-eyes", f"{actor} registered this version and can't {what}; somebody else has to.")


def _check(fact: ExceptionGranted, command: Ease) -> None:
    if not fact.reason.strip():
        raise _bad("An exception stays on record with its reason; say why.")
    if fact.rule in UNEXCEPTED:
        raise _bad(f"There can be no exception from {fact.rule}.")
    if not EXCEPTED.fullmatch(fact.rule):
        told = "goal-stated, evidence-KIND, approval-ROLE, conditions-met, no-SEVERITY-flags"
        raise _bad(f"There is no rule '{fact.rule}'; an exception is from one of {told}.")
    if fact.expires <= command.at:
        raise _bad("The exception would have ended already; 'expires' lies in the future.")
    if fact.expires > command.at + timedelta(days=command.most_days):
        raise _bad(f"An exception lasts at most {command.most_days} days; grant it again when it ends.")


def _bad(detail: str) -> Refused:
    return Refused("bad-exception", detail, status=422)
