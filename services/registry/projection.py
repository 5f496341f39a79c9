"""Views: everything registered, as lists and single things."""

from typing import Any

from services.registry.tables import TABLES
from shared.events.envelope import Event
from shared.events.registry import (
    AliasMoved,
    ApprovalGranted,
    ApprovalRejected,
    DatasetRegistered,
    EvidenceRecorded,
    GateChanged,
    GoalStated,
    KpiDefined,
    ModelRegistered,
    ModelVersionRegistered,
    PipelineRegistered,
    PipelineRunRecorded,
    PolicyAdopted,
)
from shared.log.tables import Change, Delete, Put, Row

__all__ = ["TABLES", "project"]


def project(event: Event) -> list[Change]:
    """The changes that one event makes; a pure function of the event."""
    match event.data:
        case GoalStated(goal=name):
            return [_named("goals", event, name, "goal")]
        case KpiDefined(kpi=name):
            return [_named("kpis", event, name, "kpi")]
        case DatasetRegistered(dataset=name):
            return [_named("datasets", event, name, "dataset"), _named("dataset_versions", event, name, "dataset")]
        case PipelineRegistered(pipeline=name):
            return [_named("pipelines", event, name, "pipeline")]
        case PipelineRunRecorded():
            return [_run(event, event.data)]
        case PolicyAdopted():
            return [Put("policies", _row(event))]
        case _:
            return _of_model(event)


def _of_model(event: Event) -> list[Change]:
    match event.data:
        case ModelRegistered(model=name):
            return [_named("models", event, name, "model")]
        case ModelVersionRegistered():
            return _version(event, event.data)
        case EvidenceRecorded(evidence=name):
            return [Put("evidence", _row(event, "evidence") | {"id": name})]
        case ApprovalGranted() | ApprovalRejected():
            return [_approval(event, event.data)]
        case GateChanged():
            return [Put("gates", _row(event))]
        case AliasMoved():
            return _alias(event, event.data)
        case _:
            return []


def _row(event: Event, *without: str) -> Row:
    """The event's data as a row, with the event's id and time and who stated it."""
    data: Row = event.data.model_dump(mode="json", exclude=set(without))
    return data | {"event_id": event.id, "at": event.time, "actor": event.actor}


def _named(table: str, event: Event, name: str, field: str) -> Change:
    return Put(table, _row(event, field) | {"name": name})


def _run(event: Event, run: PipelineRunRecorded) -> Change:
    times = {"started_at": run.started_at, "ended_at": run.ended_at}
    return Put("runs", _row(event, "started_at", "ended_at") | times)


def _version(event: Event, version: ModelVersionRegistered) -> list[Change]:
    features = {name: len(values) for name, values in version.reference.items()}
    changes: list[Change] = [
        Put("versions", _row(event, "reference") | {"reference": features}),
        Put("models", {"name": version.model, "newest_version": version.version}),
    ]
    if version.reference:
        values = {name: list(sample) for name, sample in version.reference.items()}
        changes.append(
            Put("reference_samples", {"model": version.model, "version": version.version, "reference": values})
        )
    return changes


def _approval(event: Event, word: ApprovalGranted | ApprovalRejected) -> Change:
    conditions: list[Any] = list(word.conditions) if isinstance(word, ApprovalGranted) else []
    decision = "approve" if isinstance(word, ApprovalGranted) else "reject"
    more = {"id": word.approval, "decision": decision, "conditions": conditions}
    return Put("approvals", _row(event, "approval", "conditions") | more)


def _alias(event: Event, moved: AliasMoved) -> list[Change]:
    key = {"model": moved.model, "alias": moved.alias}
    history = Put("alias_moves", _row(event) | {"sequence": event.sequence})
    if moved.after is None:
        return [history, Delete("aliases", key)]
    place = {"version": moved.after, "event_id": event.id, "at": event.time, "actor": event.actor}
    return [history, Put("aliases", key | place)]
