"""Views: everything registered, as lists and single things."""

from typing import Any

from services.registry.tables import TABLES
from services.registry.views import gates, webhooks
from shared.events.envelope import Event
from shared.events.registry import (
    AliasMoved,
    ApprovalGranted,
    ApprovalRejected,
    DatasetRegistered,
    DecisionModelled,
    DescriptionChanged,
    EvidenceRecorded,
    GateChanged,
    GoalStated,
    KpiDefined,
    LineageReported,
    ModelRegistered,
    ModelRetired,
    ModelVersionRegistered,
    PipelineRegistered,
    PipelineRunRecorded,
    PolicyAdopted,
    StageMoved,
    TagChanged,
    VersionRetired,
)
from shared.log.tables import Change, Delete, Put, Row

__all__ = ["TABLES", "project"]

TAG_START = 64
MAX_INDEXED = 2_000
"""Bytes of a column's name and of its source's together."""


def project(event: Event) -> list[Change]:
    """The changes that one event makes; a pure function of the event."""
    return _registered(event) + gates.project(event) + webhooks.project(event)


def _registered(event: Event) -> list[Change]:
    match event.data:
        case GoalStated(goal=name):
            return [_named("goals", event, name, "goal")]
        case KpiDefined(kpi=name):
            return [_named("kpis", event, name, "kpi")]
        case DatasetRegistered(dataset=name):
            kept = [_named("datasets", event, name, "dataset"), _named("dataset_versions", event, name, "dataset")]
            return [*kept, *_columns_made_of(event.data)]
        case PipelineRegistered(pipeline=name):
            return [_named("pipelines", event, name, "pipeline")]
        case PipelineRunRecorded():
            return [_run(event, event.data)]
        case PolicyAdopted():
            return [Put("policies", _columns("policies", _row(event)))]
        case DecisionModelled():
            return _decision(event, event.data)
        case LineageReported() as report:  # its body came as JSON, and is as large as everything else together
            return [Put("lineage_reports", dict(report) | _stated(event))]
        case _:
            return _of_model(event)


def _of_model(event: Event) -> list[Change]:
    match event.data:
        case ModelRegistered(model=name):
            return [_model(event, event.data)]
        case ModelVersionRegistered():
            return _version(event, event.data)
        case EvidenceRecorded(evidence=name):
            return [Put("evidence", _row(event, "evidence") | {"id": name})]
        case ApprovalGranted() | ApprovalRejected():
            return [_approval(event, event.data)]
        case GateChanged():
            return [Put("gates", _columns("gates", _row(event)))]
        case AliasMoved():
            return _alias(event, event.data)
        case _:
            return _marks(event)


def _marks(event: Event) -> list[Change]:
    """What was said anew about a model or a version; version 0 stands for the model itself."""
    match event.data:
        case TagChanged():
            return _tag(event, event.data)
        case DescriptionChanged(version=None, description=text):
            return [Put("models", _about(event, event.data.model, None) | {"description": text})]
        case DescriptionChanged(version=version, description=text):
            return [Put("versions", _about(event, event.data.model, version) | {"description": text})]
        case StageMoved(version=version, after=stage):
            moved = _row(event) | {"sequence": event.sequence}
            return [
                Put("versions", _about(event, event.data.model, version) | {"stage": stage}),
                Put("stage_moves", moved),
            ]
        case VersionRetired(version=version, reason=reason):
            return [Put("versions", _about(event, event.data.model, version) | {"retired": reason})]
        case ModelRetired(reason=reason):
            return [Put("models", _about(event, event.data.model, None) | {"retired": reason})]
        case _:
            return []


def _about(event: Event, model: str, version: int | None) -> Row:
    """The key of a model's or version's row, and when it last changed."""
    key: Row = {"name": model} if version is None else {"model": model, "version": version}
    return key | {"updated_at": event.time}


def _model(event: Event, model: ModelRegistered) -> Change:
    named = {"name": model.model, "at": model.since or event.time, "updated_at": event.time, "retired": None}
    return Put("models", _row(event, "model", "since") | named)


def tag_start(value: str) -> str:
    """How a tag's value begins: what an index can hold, whatever its length."""
    return value[:TAG_START]


def _tag(event: Event, tag: TagChanged) -> list[Change]:
    key = {"model": tag.model, "version": tag.version or 0, "key": tag.key}
    stated = _row(event, "version", "before", "after")
    history = Put(
        "tag_changes",
        stated | {"version": key["version"], "before": tag.before, "after": tag.after, "sequence": event.sequence},
    )
    if tag.after is None:
        return [history, Delete("tags", key)]
    return [
        history,
        Put("tags", _stated(event) | key | {"value": tag.after, "start": tag_start(tag.after)}),
    ]


def _decision(event: Event, decision: DecisionModelled) -> list[Change]:
    row = _row(event, "decision") | {"name": decision.decision}
    changes: list[Change] = [Put("decisions", row), Put("decision_versions", row)]
    for one in decision.models:
        link = {"decision": decision.decision, "model": one.model, "how": one.how, "version": decision.version}
        changes.append(Put("informing", link))
    return changes


def _row(event: Event, *without: str) -> Row:
    """The event's data as a row, with the event's id and time and who stated it."""
    data: Row = event.data.model_dump(mode="json", exclude=set(without))
    return data | _stated(event)


def _stated(event: Event) -> Row:
    return {"event_id": event.id, "at": event.time, "actor": event.actor}


def _columns(table: str, row: Row) -> Row:
    """What of a row the table has columns for; the rest is in views of its own."""
    columns = next(one.columns for one in TABLES if one.name == table)
    return {name: value for name, value in row.items() if name in columns}


def _named(table: str, event: Event, name: str, field: str) -> Change:
    return Put(table, _row(event, field) | {"name": name})


def _columns_made_of(dataset: DatasetRegistered) -> list[Change]:
    """A row for every column that another is made of; a name that no index could hold is left out."""
    of = {"dataset": dataset.dataset, "version": dataset.version}
    return [
        Put("column_sources", of | {"column": one.name, "source": source, "target": f"{dataset.dataset}.{one.name}"})
        for one in dataset.columns
        for source in dict.fromkeys(one.sources)
        if len(source.encode()) + len(one.name.encode()) < MAX_INDEXED
    ]


def _run(event: Event, run: PipelineRunRecorded) -> Change:
    times = {"started_at": run.started_at, "ended_at": run.ended_at}
    return Put("runs", _row(event, "started_at", "ended_at") | times)


def _version(event: Event, version: ModelVersionRegistered) -> list[Change]:
    features = {name: len(values) for name, values in version.reference.items()}
    more: Row = {"reference": features, "stage": "None", "updated_at": event.time, "retired": None}
    changes: list[Change] = [
        Put("versions", _row(event, "reference") | more),
        Put("models", {"name": version.model, "newest_version": version.version, "updated_at": event.time}),
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
    more: Row = {"id": word.approval, "decision": decision, "conditions": conditions}
    more["expires"] = word.expires if isinstance(word, ApprovalGranted) else None
    return Put("approvals", _row(event, "approval", "conditions", "expires") | more)


def _alias(event: Event, moved: AliasMoved) -> list[Change]:
    key = {"model": moved.model, "alias": moved.alias}
    history = Put("alias_moves", _row(event) | {"sequence": event.sequence})
    if moved.after is None:
        return [history, Delete("aliases", key)]
    place = {"version": moved.after, "event_id": event.id, "at": event.time, "actor": event.actor}
    return [history, Put("aliases", key | place)]
