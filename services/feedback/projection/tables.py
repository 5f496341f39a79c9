"""The read model: flags and all that hangs on them, where predictions lie, bulks, rules, reviews and data sets."""

from services.feedback.projection.flag_tables import FLAG_TABLES
from shared.log.tables import ColumnType, Table

_EVENT: dict[str, ColumnType] = {"event_id": "text", "actor": "text", "at": "timestamp"}

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
        "fallback": "text",
    },
    indexes=(("deployment", "partition", "offset"),),
)
"""Where predictions lie. `fallback`: as in `PredictionLogged`."""

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
"""Predictions by day (UTC) and segment, without what a constant answered; per partition of the log, so that nobody
waits for another's count."""

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

CLAIMS = Table(
    "claims",
    ("flag", "part"),
    {
        "flag": "text",
        "part": "integer",
        "bulk": "text",
        "deployment": "text",
        "category": "text",
        "total": "integer",
        "rows": "bytes",
    },
    indexes=(("deployment", "category"), ("bulk",)),
    work=True,
)
"""What bulks have flagged, until the views show it. `rows`: Arrow, batch and row; `total`: of the flag, with these."""

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
    *FLAG_TABLES,
    BATCHES,
    CLIENT_IDS,
    VOLUMES,
    BULKS,
    BULK_WORK,
    CLAIMS,
    RULES,
    RULE_RATES,
    REVIEWS,
    REVIEW_ITEMS,
    JUDGEMENTS,
    EXPORTS,
)
