"""Views: what runs where, and what the registry said about the versions that may run."""

from shared.events.deployer import (
    CanaryEnded,
    CanaryHeld,
    CanaryResumed,
    CanaryStarted,
    Deployed,
    FallbackSet,
    PredictionsLost,
    Promoted,
    Reacted,
    ReactionsSet,
    ResourcesDeclared,
    Retired,
    RolledBack,
    Traffic,
    TrafficChanged,
)
from shared.events.envelope import Event
from shared.events.registry import GateChanged, ModelRegistered, ModelVersionRegistered
from shared.log.tables import Change, Put, Row, Table

DEPLOYMENTS = Table(
    "deployments",
    ("name",),
    {
        "name": "text",
        "model": "text",
        "environment": "text",
        "runtime": "json",
        "resources": "json",
        "state": "text",
        "champion": "integer",
        "champion_since": "timestamp",
        "champion_by": "text",
        "traffic": "json",
        "deployed_at": "timestamp",
        "deployed_by": "text",
        "updated_at": "timestamp",
        "updated_by": "text",
        "sequence": "bigint",
        "canary": "json",
        "canary_state": "text",
        "canary_reason": "text",
        "reactions": "json",
        "fallback": "json",
    },
    indexes=(("model", "name"), ("environment", "name"), ("state", "name"), ("canary_state",)),
)
REACTIONS = Table(
    "reactions",
    ("name", "sequence"),
    {
        "name": "text",
        "sequence": "bigint",
        "event_id": "text",
        "at": "timestamp",
        "version": "integer",
        "on": "text",
        "wanted": "text",
        "did": "text",
        "told": "timestamp",
        "cause": "text",
        "reason": "text",
    },
)
HISTORY = Table(
    "deployment_history",
    ("name", "sequence"),
    {
        "name": "text",
        "sequence": "bigint",
        "event_id": "text",
        "type": "text",
        "at": "timestamp",
        "recorded": "timestamp",
        "actor": "text",
        "before": "json",
        "after": "json",
        "reason": "text",
    },
)
LOSSES = Table(
    "losses",
    ("name", "sequence"),
    {
        "name": "text",
        "sequence": "bigint",
        "event_id": "text",
        "at": "timestamp",
        "version": "integer",
        "rows": "bigint",
        "reason": "text",
    },
)
MODELS = Table("models", ("model",), {"model": "text"})
VERSIONS = Table(
    "model_versions",
    ("model", "version"),
    {"model": "text", "version": "integer", "artifact": "json", "signature": "json"},
)
GATES = Table(
    "gates",
    ("model", "version", "stage"),
    {"model": "text", "version": "integer", "stage": "text", "allowed": "boolean", "rules": "json"},
)
TABLES: tuple[Table, ...] = (DEPLOYMENTS, HISTORY, REACTIONS, LOSSES, MODELS, VERSIONS, GATES)


def project(event: Event) -> list[Change]:
    """The changes of rows that one event makes."""
    match event.data:
        case Deployed() as fact:
            return _deployed(event, fact)
        case TrafficChanged() | Promoted() | RolledBack() as fact:
            row = _moved(event, fact.before, fact.after)
            return [_changed(event, fact.deployment, row), _history(event, fact.deployment, fact)]
        case Retired() as fact:
            row = {"state": "retired", "canary_state": None}
            return [_changed(event, fact.deployment, row), _history(event, fact.deployment, fact)]
        case CanaryStarted() | CanaryHeld() | CanaryResumed() | CanaryEnded() as fact:
            return [_changed(event, fact.deployment, _canary(fact))]
        case ReactionsSet() as fact:
            said = fact.model_dump(mode="json", include={"rules", "cool_down_seconds", "reason"})
            return [_changed(event, fact.deployment, {"reactions": said})]
        case ResourcesDeclared() as fact:
            return [_changed(event, fact.deployment, {"resources": fact.resources.model_dump(mode="json")})]
        case FallbackSet() as fact:
            return [_changed(event, fact.deployment, {"fallback": fact.fallback.model_dump(mode="json")})]
        case Reacted() as fact:
            return [_reaction(event, fact)]
        case PredictionsLost() as fact:
            row = {"name": fact.deployment, "sequence": event.sequence, "event_id": event.id, "at": event.time}
            return [Put("losses", row | fact.model_dump(include={"version", "rows", "reason"}))]
        case ModelRegistered() as fact:
            return [Put("models", {"model": fact.model})]
        case ModelVersionRegistered() as fact:
            row = {"model": fact.model, "version": fact.version}
            row |= {name: getattr(fact, name).model_dump(mode="json") for name in ("artifact", "signature")}
            return [Put("model_versions", row)]
        case GateChanged() as fact:
            rules = [rule.model_dump(mode="json") for rule in fact.rules]
            row = {"model": fact.model, "version": fact.version, "stage": fact.stage}
            return [Put("gates", row | {"allowed": fact.allowed, "rules": rules})]
        case _:
            return []


def _canary(fact: CanaryStarted | CanaryHeld | CanaryResumed | CanaryEnded) -> Row:
    """`canary_state`: running, held, or none; how the last one ended is its reason."""
    match fact:
        case CanaryStarted():
            plan = fact.model_dump(mode="json", exclude={"deployment", "model"})
            return {"canary": plan, "canary_state": "running", "canary_reason": fact.reason}
        case CanaryHeld():
            return {"canary_state": "held", "canary_reason": fact.reason}
        case CanaryResumed():
            return {"canary_state": "running", "canary_reason": fact.reason}
        case CanaryEnded():
            return {"canary_state": None, "canary_reason": f"{fact.outcome.replace('_', ' ')}: {fact.reason}"}


def _reaction(event: Event, fact: Reacted) -> Change:
    row: Row = {"name": fact.deployment, "sequence": event.sequence, "event_id": event.id, "at": event.time}
    row |= {name: getattr(fact, name) for name in ("version", "on", "wanted", "did", "told", "reason")}
    return Put("reactions", row | {"cause": event.causationid})


def _deployed(event: Event, fact: Deployed) -> list[Change]:
    row: Row = {
        "model": fact.model,
        "environment": fact.environment,
        "runtime": fact.runtime.model_dump(mode="json"),
        "resources": fact.resources.model_dump(mode="json"),
        "state": "active",
        "deployed_at": event.time,
        "deployed_by": event.actor,
    }
    row |= _champion(event, fact.traffic)
    return [_changed(event, fact.deployment, row), _history(event, fact.deployment, fact)]


def _moved(event: Event, before: Traffic, after: Traffic) -> Row:
    if before.champion != after.champion:
        return _champion(event, after)
    return {"traffic": after.model_dump(mode="json")}


def _champion(event: Event, traffic: Traffic) -> Row:
    return {
        "traffic": traffic.model_dump(mode="json"),
        "champion": traffic.champion,
        "champion_since": event.time,
        "champion_by": event.actor,
    }


def _changed(event: Event, deployment: str, row: Row) -> Change:
    stamp: Row = {"updated_at": event.time, "updated_by": event.actor, "sequence": event.sequence}
    return Put("deployments", {"name": deployment} | row | stamp)


def _history(
    event: Event, deployment: str, fact: Deployed | TrafficChanged | Promoted | RolledBack | Retired
) -> Change:
    before = None if isinstance(fact, Deployed) else fact.before
    after = fact.traffic if isinstance(fact, Deployed) else None if isinstance(fact, Retired) else fact.after
    row: Row = {
        "name": deployment,
        "sequence": event.sequence,
        "event_id": event.id,
        "type": event.type,
        "at": event.time,
        "recorded": event.recorded,
        "actor": event.actor,
        "before": before.model_dump(mode="json") if before else None,
        "after": after.model_dump(mode="json") if after else None,
        "reason": "" if isinstance(fact, Deployed) else fact.reason,
    }
    return Put("deployment_history", row)
