"""What was stated of a window's inputs, what was refused, and which deployments are silent."""

from shared.events.envelope import Event
from shared.events.monitor import DeploymentHeard, DeploymentSilent, PredictionsRefused, WindowMeasured
from shared.log.tables import Change, Delete, Put, Table

INPUTS = Table(
    "window_inputs",
    ("deployment", "version", "window_start"),
    {
        "deployment": "text",
        "version": "integer",
        "window_start": "timestamp",
        "integrity": "json",
        "multivariate": "json",
    },
)
SILENCES = Table("silences", ("deployment",), {"deployment": "text", "since": "timestamp"})
REFUSALS = Table(
    "refusals",
    ("deployment", "version", "window_start"),
    {
        "deployment": "text",
        "version": "integer",
        "window_start": "timestamp",
        "bodies": "bigint",
        "rows": "bigint",
        "reasons": "json",
    },
)

TABLES = (INPUTS, SILENCES, REFUSALS)


def project(event: Event) -> list[Change]:
    """The rows that a measure, a refusal or a silence sets."""
    match event.data:
        case WindowMeasured() as measured:
            return [_measured(measured)]
        case PredictionsRefused() as refused:
            told = refused.model_dump(include={"deployment", "version", "window_start", "bodies", "rows", "reasons"})
            return [Put("refusals", told)]
        case DeploymentSilent(deployment=name, last_heard=heard):
            return [Put("silences", {"deployment": name, "since": heard})]
        case DeploymentHeard(deployment=name):
            return [Delete("silences", {"deployment": name})]
        case _:
            return []


def _measured(measured: WindowMeasured) -> Change:
    data = measured.model_dump(mode="json", include={"integrity", "multivariate"})
    return Put(
        "window_inputs",
        {
            "deployment": measured.deployment,
            "version": measured.version,
            "window_start": measured.window_start,
            "integrity": data["integrity"],
            "multivariate": data["multivariate"],
        },
    )
