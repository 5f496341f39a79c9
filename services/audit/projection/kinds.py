"""What is said again and again about things of one kind, so that a reader asks for the newest word of each sort only.

A kind that is not here is read whole, which is right too and costs as much as was ever said about it.
"""

from services.audit.projection.lineage.edges import (
    DEFINITION,
    TRAFFIC,
)

RESTATED: dict[str, tuple[str, ...]] = {
    "alert": ("AlertCleared", "AlertRaised"),
    "alert-route": ("AlertRouteAdded", "AlertRouteRemoved"),
    "deployment": ("Deployed", "Promoted", "Retired", "RolledBack", "TrafficChanged"),
    "flag": (
        "FeedbackFlagged",
        "FlagCommented",
        "FlagLapsed",
        "FlagLinkUsed",
        "FlagLocated",
        "FlagMerged",
        "FlagResolved",
        "FlagTriaged",
        "PredictionsFlagged",
    ),
    "gate": ("GateChanged",),
    "goal": ("GoalStated",),
    "kpi": ("KpiDefined",),
    "model": ("AliasMoved", "ModelRegistered", "ModelRetired"),
    "pipeline": ("PipelineRegistered",),
    "refusals": ("PredictionsRefused",),
    "retention": ("PredictionsExpired", "RetentionSet"),
    "run": ("PipelineRunRecorded",),
    "window": ("WindowMeasured",),
}
"""Kind → the types of all events about one such thing. Each type states the same attributes every time."""

SCOPES: dict[str, tuple[str, ...]] = {
    "deployment": (TRAFFIC,),
    "flag": ("assignee",),
    "goal": (DEFINITION,),
    "kpi": (DEFINITION,),
    "model": (DEFINITION,),
}
"""Kind → the scopes of the edges that start at one such thing (`asof`)."""

ALWAYS_SCOPED = frozenset(SCOPES) - {"flag"}
"""Kinds all of whose edges have a scope."""

OPEN_SCOPES = {"model": "alias:"}
"""Kinds that have further scopes, whose names are data and begin so: the aliases of a model."""

STATED_ELSEWHERE = frozenset({"dataset", "prediction", "run"})
"""Kinds of which an event about something else may state edges: the data set that a run wrote, a flagged prediction."""
