"""Flags, and what hangs on each: who was told, what is open of a version, and when that was too much."""

from shared.log.tables import ColumnType, Table

_EVENT: dict[str, ColumnType] = {"event_id": "text", "actor": "text", "at": "timestamp"}

FLAGS = Table(
    "flags",
    ("id",),
    {
        "id": "text",
        "target": "text",
        "prediction_id": "text",
        "deployment": "text",
        "model": "text",
        "version": "integer",
        "batch": "text",
        "row": "integer",
        "segment": "text",
        "fallback": "text",
        "slice": "json",
        "pipeline": "text",
        "predictions": "integer",
        "segments": "json",
        "located": "boolean",
        "via": "text",
        "bulk": "text",
        "rule": "text",
        "category": "text",
        "severity": "text",
        "expected": "json",
        "comment": "text",
        "attachments": "json",
        "state": "text",
        "raised_by": "text",
        "raised_at": "timestamp",
        "recorded_at": "timestamp",
        "due": "timestamp",
        "assignee": "text",
        "merged_into": "text",
        "resolution": "text",
        "label": "double",
        "resolved_by": "text",
        "resolved_at": "timestamp",
        "answer": "text",
    },
    indexes=(
        ("deployment", "version", "state"),
        ("prediction_id",),
        ("batch",),
        ("raised_at",),
        ("state", "due"),
        ("assignee", "state"),
        ("merged_into",),
        ("model",),
        ("located", "state", "recorded_at"),
    ),
)

HISTORY = Table(
    "flag_history",
    ("flag", "sequence"),
    {
        "flag": "text",
        "sequence": "integer",
        "event_id": "text",
        "type": "text",
        "actor": "text",
        "at": "timestamp",
        "comment": "text",
    },
)

FLAGGED = Table(
    "flagged",
    ("flag", "batch", "part"),
    {
        "flag": "text",
        "batch": "text",
        "part": "integer",
        "deployment": "text",
        "version": "integer",
        "count": "integer",
        "rows": "bytes",
        "details": "json",
    },
    indexes=(("batch",),),
)
"""Which rows of a batch a flag on many stands for: int32, ascending, little endian. `details`: own ids and what was
expected of rows, by row, where there is any."""

BREACHES = Table(
    "breaches",
    ("event_id",),
    {
        "event_id": "text",
        "deployment": "text",
        "version": "integer",
        "kind": "text",
        "open_flags": "integer",
        "threshold": "integer",
        "value": "double",
        "limit": "double",
        "unit": "text",
        "at": "timestamp",
    },
    indexes=(("deployment", "version"), ("at",)),
)

LEVELS = Table(
    "levels",
    ("deployment", "version"),
    {
        "deployment": "text",
        "version": "integer",
        "flags": "integer",
        "open_flags": "integer",
        "critical": "integer",
        "by_severity": "json",
    },
)
"""What is open of a deployed version: flags, predictions that they stand for, critical flags."""

LIMITS = Table(
    "limits",
    ("deployment",),
    {"deployment": "text", "limits": "json", **_EVENT},
)

NOTICES = Table(
    "notices",
    ("recipient", "event_id"),
    {
        "recipient": "text",
        "event_id": "text",
        "flag": "text",
        "type": "text",
        "actor": "text",
        "at": "timestamp",
        "text": "text",
    },
    indexes=(("recipient", "at"),),
)

FLAG_TABLES = (FLAGS, HISTORY, FLAGGED, BREACHES, LEVELS, LIMITS, NOTICES)
