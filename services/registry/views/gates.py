"""Views of what gates are judged by (policies, exceptions, open flags), of how they changed, and of releases."""

from typing import Any

from shared.events import deployer, feedback
from shared.events.envelope import Event
from shared.events.registry import (
    ConditionMet,
    ExceptionGranted,
    ExceptionWithdrawn,
    GateChanged,
    PolicyAdopted,
    PolicyDeclined,
    PolicyPayload,
    PolicyProposed,
)
from shared.log.tables import Change, ColumnType, Put, Row, Table

_STATED: dict[str, ColumnType] = {"event_id": "text", "at": "timestamp", "actor": "text"}
_OF_VERSION: dict[str, ColumnType] = {"model": "text", "version": "integer"}

TABLES: tuple[Table, ...] = (
    Table(
        "policy_versions",
        ("stage", "version"),
        {"stage": "text", "version": "integer", "policy": "json", "proposed_by": "text", "comment": "text", **_STATED},
    ),
    Table(
        "policy_proposals",
        ("proposal",),
        {
            "proposal": "text",
            "stage": "text",
            "version": "integer",
            "policy": "json",
            "state": "text",
            "decided_by": "text",
            "decided_at": "timestamp",
            "decision_comment": "text",
            **_STATED,
        },
        (("stage", "at"),),
    ),
    Table(
        "exceptions",
        ("exception",),
        {
            "exception": "text",
            **_OF_VERSION,
            "stage": "text",
            "rule": "text",
            "role": "text",
            "reason": "text",
            "expires": "timestamp",
            "withdrawn_by": "text",
            "withdrawn_at": "timestamp",
            "withdrawn_because": "text",
            **_STATED,
        },
        (("model", "version", "at"),),
    ),
    Table(
        "conditions_met",
        ("approval", "condition"),
        {"approval": "text", "condition": "text", **_OF_VERSION, "comment": "text", **_STATED},
        (("model", "version", "at"),),
    ),
    Table(
        "gate_changes",
        ("event_id",),
        {
            **_STATED,
            **_OF_VERSION,
            "stage": "text",
            "sequence": "bigint",
            "allowed": "boolean",
            "rules": "json",
            "policy_version": "integer",
            "until": "timestamp",
        },
        (("model", "version", "stage", "sequence"),),
    ),
    Table(
        "gate_ends",
        ("model", "version", "stage"),
        {**_OF_VERSION, "stage": "text", "until": "timestamp"},
        (("until",),),
    ),
    Table(
        "flags",
        ("flag",),
        {
            "flag": "text",
            **_OF_VERSION,
            "severity": "text",
            "regraded": "text",
            "opened": "timestamp",
            "closed": "timestamp",
        },
        (("model", "closed"),),
    ),
    Table(
        "releases",
        ("event_id",),
        {**_STATED, **_OF_VERSION, "deployment": "text", "kind": "text", "sequence": "bigint"},
        (("model", "at"),),
    ),
    Table("environments", ("deployment",), {"deployment": "text", "environment": "text"}),
)


def project(event: Event) -> list[Change]:
    """The changes that one event makes; a pure function of the event."""
    match event.data:
        case PolicyAdopted() as policy:
            return _adopted(event, policy)
        case PolicyProposed() as proposed:
            row = _stated(event) | {"proposal": proposed.proposal, "stage": proposed.stage, "version": proposed.version}
            return [Put("policy_proposals", row | {"policy": _demands(proposed), "state": "waiting"})]
        case PolicyDeclined(proposal=name, comment=comment):
            return [_decided(event, name, "declined", comment)]
        case GateChanged() as gate:
            return _gate(event, gate)
        case ExceptionGranted() | ExceptionWithdrawn() | ConditionMet():
            return _eased(event)
        case _:
            return _flag(event) + _release(event)


def _adopted(event: Event, policy: PolicyAdopted) -> list[Change]:
    row = _stated(event) | {"stage": policy.stage, "version": policy.version, "policy": _demands(policy)}
    row |= {"proposed_by": policy.proposed_by or None, "comment": policy.comment}
    decided = [_decided(event, policy.proposal, "adopted", "")] if policy.proposal else []
    return [Put("policy_versions", row), *decided]


def _decided(event: Event, proposal: str, state: str, comment: str) -> Change:
    by = {"decided_by": event.actor, "decided_at": event.time, "decision_comment": comment}
    return Put("policy_proposals", {"proposal": proposal, "state": state} | by)


def _demands(policy: PolicyPayload) -> dict[str, Any]:
    return policy.model_dump(mode="json", include=set(PolicyPayload.model_fields) - {"dmn"})


def _gate(event: Event, gate: GateChanged) -> list[Change]:
    row = _stated(event) | gate.model_dump(mode="json", exclude={"until"})
    row |= {"sequence": event.sequence, "until": gate.until}
    ends = {"model": gate.model, "version": gate.version, "stage": gate.stage, "until": gate.until}
    return [Put("gate_changes", row), Put("gate_ends", ends)]


def _eased(event: Event) -> list[Change]:
    match event.data:
        case ExceptionGranted(expires=expires) as granted:
            row = granted.model_dump(mode="json", exclude={"expires"}) | {"expires": expires}
            return [Put("exceptions", _stated(event) | row)]
        case ExceptionWithdrawn(exception=name, reason=reason):
            by = {"withdrawn_by": event.actor, "withdrawn_at": event.time, "withdrawn_because": reason}
            return [Put("exceptions", {"exception": name} | by)]
        case ConditionMet() as met:
            return [Put("conditions_met", _stated(event) | met.model_dump(mode="json"))]
        case _:
            return []


def _flag(event: Event) -> list[Change]:
    """Severity and end lie in columns of their own, so that the parts of a large flag may come in any order."""
    match event.data:
        case feedback.FeedbackFlagged() | feedback.PredictionsFlagged() as raised:
            row: Row = {"flag": raised.flag, "severity": raised.severity}
            if getattr(raised, "part", 1) <= 1:  # a flag opens with its first part
                row["opened"] = event.time
            return [Put("flags", row | ({"model": raised.model, "version": raised.version} if raised.model else {}))]
        case feedback.FlagLocated(flag=flag, model=model, version=version, reopened=reopened):
            again: Row = {"closed": None} if reopened else {}
            return [Put("flags", {"flag": flag, "model": model, "version": version} | again)]
        case feedback.FlagTriaged(flag=flag, severity=severity):
            return [Put("flags", {"flag": flag, "regraded": severity})]
        case feedback.FlagResolved(flag=flag) | feedback.FlagLapsed(flag=flag) | feedback.FlagMerged(flag=flag):
            return [Put("flags", {"flag": flag, "closed": event.time})]
        case _:
            return []


def _release(event: Event) -> list[Change]:
    """A version that began to answer as champion."""
    match event.data:
        case deployer.Deployed(deployment=name) as deployed:
            place = Put("environments", {"deployment": name, "environment": deployed.environment})
            return [place, _released(event, deployed.deployment, deployed.model, deployed.version)]
        case deployer.Promoted() | deployer.RolledBack() | deployer.TrafficChanged() as moved:
            if moved.before.champion == moved.after.champion:
                return []
            return [_released(event, moved.deployment, moved.model, moved.after.champion)]
        case _:
            return []


def _released(event: Event, deployment: str, model: str, version: int) -> Change:
    row = _stated(event) | {"deployment": deployment, "model": model, "version": version, "kind": event.type}
    return Put("releases", row | {"sequence": event.sequence})


def _stated(event: Event) -> Row:
    return {"event_id": event.id, "at": event.time, "actor": event.actor}
