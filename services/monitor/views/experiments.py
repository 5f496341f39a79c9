"""Experiments as they were registered, what they harmed, and how they ended."""

from shared.events.envelope import Event
from shared.events.monitor import ExperimentConcluded, ExperimentStarted, GuardrailBreached
from shared.log.tables import Change, Put, Table

EXPERIMENTS = Table(
    "experiments",
    ("deployment", "experiment"),
    {
        "deployment": "text",
        "experiment": "text",
        "model": "text",
        "kpi": "text",
        "running": "boolean",
        "plan": "json",
        "started_at": "timestamp",
        "started_by": "text",
        "concluded_at": "timestamp",
        "concluded_by": "text",
        "verdict": "text",
        "winner": "integer",
        "reason": "text",
        "conclusion": "json",
    },
    (("running",), ("deployment", "started_at")),
)
BREACHES = Table(
    "experiment_breaches",
    ("deployment", "experiment", "version", "guardrail"),
    {
        "deployment": "text",
        "experiment": "text",
        "version": "integer",
        "guardrail": "text",
        "value": "double",
        "limit": "double",
        "unit": "text",
        "cases": "integer",
        "at": "timestamp",
        "event": "text",
    },
)

TABLES = (EXPERIMENTS, BREACHES)


def project(event: Event) -> list[Change]:
    """The rows that an experiment's facts set."""
    match event.data:
        case ExperimentStarted() as plan:
            return [_started(event, plan)]
        case ExperimentConcluded() as end:
            return [_concluded(event, end)]
        case GuardrailBreached() as breach:
            row = breach.model_dump(mode="json", exclude={"model"})
            return [Put("experiment_breaches", row | {"at": event.time, "event": event.id})]
        case _:
            return []


def _started(event: Event, plan: ExperimentStarted) -> Change:
    return Put(
        "experiments",
        {
            "deployment": plan.deployment,
            "experiment": plan.experiment,
            "model": plan.model,
            "kpi": plan.kpi,
            "running": True,
            "plan": plan.model_dump(mode="json"),
            "started_at": event.time,
            "started_by": event.actor,
        },
    )


def _concluded(event: Event, end: ExperimentConcluded) -> Change:
    return Put(
        "experiments",
        {
            "deployment": end.deployment,
            "experiment": end.experiment,
            "running": False,
            "concluded_at": event.time,
            "concluded_by": event.actor,
            "verdict": end.verdict,
            "winner": end.version,
            "reason": end.reason,
            "conclusion": end.model_dump(mode="json"),
        },
    )
