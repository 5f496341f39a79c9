"""The monitor's tables, and the facts of other services that its figures rest on, as pure folds."""

from typing import Any

from services.monitor.domain.bins import as_json, bins_of
from services.monitor.domain.coding import encode
from services.monitor.domain.reference import reference_of
from services.monitor.views import alerts, archive, experiments, inputs, references
from shared.events.deployer import Deployed, Promoted, Retired, RolledBack, Traffic, TrafficChanged
from shared.events.envelope import Event
from shared.events.monitor import WindowMeasured
from shared.events.registry import KpiDefined, ModelRegistered, ModelVersionRegistered
from shared.log.tables import Change, ColumnType, Put, Table

_WINDOW: dict[str, ColumnType] = {"deployment": "text", "version": "integer", "window_start": "timestamp"}
_SOURCE: dict[str, ColumnType] = {"topic": "text", "partition": "integer"}

DEPLOYMENTS = Table(
    "deployments",
    ("deployment",),
    {
        "deployment": "text",
        "model": "text",
        "environment": "text",
        "traffic": "json",
        "traffic_since": "timestamp",
        "retired": "boolean",
    },
    (("model",),),
)
MODELS = Table("models", ("model",), {"model": "text", "goal": "text"})
VERSIONS = Table(
    "versions",
    ("model", "version"),
    {
        "model": "text",
        "version": "integer",
        "signature": "json",
        "bins": "json",
        "reference": "bytes",
        "judged": "json",
    },
)
KPIS = Table(
    "kpis",
    ("kpi",),
    {"kpi": "text", "goal": "text", "unit": "text", "direction": "text", "target": "double", "formula": "json"},
    (("goal",),),
)
BATCHES = Table(
    "batches",
    ("batch",),
    {
        "batch": "text",
        "deployment": "text",
        "model": "text",
        "version": "integer",
        "topic": "text",
        "partition": "integer",
        "offset": "bigint",
        "rows": "integer",
        "start": "timestamp",
        "end": "timestamp",
        "client_ids": "boolean",
        "fallback": "text",
    },
)
TRUTHS = Table("truths", ("batch",), {"batch": "text", "truth": "bytes"})
PREDICTION_IDS = Table(
    "prediction_ids", ("prediction_id",), {"prediction_id": "text", "batch": "text", "row": "integer"}, hashed=16
)
OUTCOME_EVENTS = Table("outcome_events", ("event",), {"event": "text", "rows": "integer"})
PENDING = Table(
    "pending_outcomes",
    ("prediction_id", "event"),
    {
        "prediction_id": "text",
        "event": "text",
        "batch": "text",
        "row": "integer",
        "value": "double",
        "at": "bigint",
        "told": "bigint",
    },
    (("batch",),),
)
SHADOWS = Table(
    "shadow_links",
    ("answered", "shadow"),
    {"answered": "text", "shadow": "text", "rows": "bytes"},
)
STATES = Table(
    "window_states",
    ("deployment", "version", "window_start", "topic", "partition"),
    {
        **_WINDOW,
        **_SOURCE,
        "window_end": "timestamp",
        "model": "text",
        "stamp": "bigint",
        "predictions": "bigint",
        "since": "timestamp",
        "until": "timestamp",
        "state": "bytes",
    },
    (("deployment", "window_start"),),
)
DIRTY = Table(
    "window_changes",
    ("window_start", "deployment", "version", "topic", "partition", "stamp"),
    {**_WINDOW, **_SOURCE, "stamp": "bigint", "window_end": "timestamp", "model": "text"},
    work=True,
)
WATERMARKS = Table(
    "watermarks",
    ("deployment", "topic", "partition"),
    {"deployment": "text", **_SOURCE, "at": "timestamp", "heard": "timestamp", "since": "timestamp"},
)
MEASURED = Table(
    "measured_windows",
    ("deployment", "version", "window_start"),
    {**_WINDOW, "window_end": "timestamp", "revision": "integer", "event": "text", "measured_at": "timestamp"},
)

TABLES = (
    DEPLOYMENTS,
    MODELS,
    VERSIONS,
    KPIS,
    BATCHES,
    TRUTHS,
    PREDICTION_IDS,
    OUTCOME_EVENTS,
    PENDING,
    SHADOWS,
    STATES,
    DIRTY,
    WATERMARKS,
    MEASURED,
    *inputs.TABLES,
    *references.TABLES,
    *archive.TABLES,
    *alerts.TABLES,
    *experiments.TABLES,
)


def project(event: Event) -> list[Change]:
    """The rows that a control fact sets. Facts that no view rests on set none."""
    views = (inputs, references, archive, alerts, experiments)
    return [*_figures(event), *(change for view in views for change in view.project(event))]


def _figures(event: Event) -> list[Change]:
    match event.data:
        case Deployed(deployment=name, model=model, environment=environment, traffic=traffic):
            row: dict[str, Any] = {"deployment": name, "model": model, "environment": environment, "retired": False}
            return [Put("deployments", row | _traffic(event, traffic))]
        case TrafficChanged(deployment=name, after=after) | Promoted(deployment=name, after=after):
            return [Put("deployments", {"deployment": name, **_traffic(event, after)})]
        case RolledBack(deployment=name, after=after):
            return [Put("deployments", {"deployment": name, **_traffic(event, after)})]
        case Retired(deployment=name):
            return [Put("deployments", {"deployment": name, "retired": True})]
        case ModelRegistered(model=model, goal=goal):
            return [Put("models", {"model": model, "goal": goal})]
        case ModelVersionRegistered() as version:
            return [_version(version)]
        case KpiDefined() as kpi:
            return [_kpi(kpi)]
        case WindowMeasured() as measured:
            return [_measured(event, measured)]
        case _:
            return []


def _traffic(event: Event, traffic: Traffic) -> dict[str, Any]:
    return {"traffic": traffic.model_dump(mode="json"), "traffic_since": event.time}


def _version(version: ModelVersionRegistered) -> Change:
    bins = bins_of(version.signature, version.reference)
    return Put(
        "versions",
        {
            "model": version.model,
            "version": version.version,
            "signature": version.signature.model_dump(mode="json"),
            "bins": as_json(bins),
            "reference": encode(reference_of(version.reference, bins)),
            "judged": version.model_dump(mode="json", include={"task", "classes", "protected", "metrics"}),
        },
    )


def _kpi(kpi: KpiDefined) -> Change:
    return Put(
        "kpis",
        {
            "kpi": kpi.kpi,
            "goal": kpi.goal,
            "unit": kpi.unit,
            "direction": kpi.direction,
            "target": kpi.target,
            "formula": kpi.formula.model_dump(mode="json"),
        },
    )


def _measured(event: Event, measured: WindowMeasured) -> Change:
    return Put(
        "measured_windows",
        {
            "deployment": measured.deployment,
            "version": measured.version,
            "window_start": measured.window_start,
            "window_end": measured.window_end,
            "revision": measured.revision,
            "event": event.id,
            "measured_at": event.time,
        },
    )
