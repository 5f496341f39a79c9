"""The read model: flags and all that hangs on them, and where predictions lie so that they can be flagged."""

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

BREACHED = Table(
    "breached",
    ("deployment", "version", "kind"),
    {"deployment": "text", "version": "integer", "kind": "text", "breached": "boolean"},
    work=True,
)
LIMITS = Table(
    "limits",
    ("deployment",),
    {"deployment": "text", "limits": "json", **_EVENT},
)
BATCHES = Table(
    "batches",
    ("batch",),
    {
        "batch": "text",
        "deployment": "text",
        "model": "text",
        "version": "integer",
        "rows": "integer",
        "partition": "integer",
        "offset": "bigint",
        "start": "timestamp",
        "end": "timestamp",
    },
    indexes=(("deployment", "partition", "offset"),),
)
CLIENT_IDS = Table("client_ids", ("id",), {"id": "text", "batch": "text", "row": "integer"})
VOLUMES = Table(
    "volumes",
    ("deployment", "version", "day", "segment", "partition"),
    {
        "deployment": "text",
        "version": "integer",
        "day": "text",
        "segment": "text",
        "partition": "integer",
        "predictions": "bigint",
    },
)
"""Predictions by day (UTC) and segment; per partition of the log, so that nobody waits for another's count."""

BULKS = Table(
    "bulks",
    ("id",),
    {
        "id": "text",
        "state": "text",
        "query": "json",
        "listed": "integer",
        "via": "text",
        "category": "text",
        "severity": "text",
        "comment": "text",
        "looked": "integer",
        "flagged": "integer",
        "pending": "integer",
        "refused": "integer",
        "flags": "json",
        "reason": "text",
        "requested_by": "text",
        "requested_at": "timestamp",
        "ended_at": "timestamp",
    },
    indexes=(("requested_at",),),
)
BULK_WORK = Table(
    "bulk_work",
    ("bulk", "part"),
    {"bulk": "text", "part": "integer", "first": "integer", "listed": "bytes"},
    work=True,
)
"""Bulks that are under way, and the lists that came with them, in parts."""

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
ATTACHMENTS = Table(
    "attachments",
    ("sha256",),
    {"sha256": "text", "media_type": "text", "size": "integer", "data": "bytes", "at": "timestamp"},
    work=True,
)
RULES = Table(
    "rules",
    ("rule",),
    {
        "rule": "text",
        "version": "integer",
        "deployment": "text",
        "statement": "text",
        "table": "json",
        "state": "text",
        "reason": "text",
        **_EVENT,
    },
    indexes=(("deployment",),),
)
RULE_RATES = Table(
    "rule_rates",
    ("rule", "deployment", "version", "day", "partition"),
    {
        "rule": "text",
        "deployment": "text",
        "version": "integer",
        "day": "text",
        "partition": "integer",
        "checked": "bigint",
        "violated": "bigint",
    },
)
REVIEWS = Table(
    "reviews",
    ("id",),
    {
        "id": "text",
        "deployment": "text",
        "version": "integer",
        "design": "text",
        "output": "text",
        "strata": "json",
        "items": "integer",
        **_EVENT,
    },
    indexes=(("deployment", "version"), ("at",)),
)
REVIEW_ITEMS = Table(
    "review_items",
    ("review", "prediction_id"),
    {"review": "text", "prediction_id": "text", "place": "integer", "stratum": "text", "score": "double"},
)
JUDGEMENTS = Table(
    "judgements",
    ("review", "prediction_id", "actor"),
    {
        "review": "text",
        "prediction_id": "text",
        "actor": "text",
        "wrong": "boolean",
        "comment": "text",
        "at": "timestamp",
    },
)
EXPORTS = Table(
    "exports",
    ("id",),
    {"id": "text", "dataset": "text", "version": "integer", "sha256": "text", "rows": "integer", **_EVENT},
    indexes=(("dataset", "version"),),
)

TABLES: tuple[Table, ...] = (
    FLAGS,
    HISTORY,
    FLAGGED,
    BREACHES,
    LEVELS,
    BREACHED,
    LIMITS,
    BATCHES,
    CLIENT_IDS,
    VOLUMES,
    BULKS,
    BULK_WORK,
    NOTICES,
    ATTACHMENTS,
    RULES,
    RULE_RATES,
    REVIEWS,
    REVIEW_ITEMS,
    JUDGEMENTS,
    EXPORTS,
)
