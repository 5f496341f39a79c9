"""Where each archived prediction lies: young batches in the store, older ones in blocks, and how long they are kept."""

from shared.events.envelope import Event
from shared.events.monitor import PredictionsExpired, RetentionSet
from shared.log.tables import Change, ColumnType, Put, Table

_GROUP: dict[str, ColumnType] = {"deployment": "text", "model": "text", "version": "integer", "day": "text"}
_SPAN: dict[str, ColumnType] = {"rows": "integer", "start": "timestamp", "end": "timestamp"}

YOUNG = Table(
    "archive_young",
    ("batch",),
    {"batch": "text", **_GROUP, "layout": "text", **_SPAN, "arrived": "timestamp", "data": "bytes"},
    (("deployment", "version", "day", "layout"), ("arrived",)),
    work=True,
)
INDEX = Table(
    "archive_index",
    ("batch",),
    {"batch": "text", "block": "text", "first": "integer", "rows": "integer"},
    work=True,
)
BLOCKS = Table(
    "archive_blocks",
    ("block",),
    {
        "block": "text",
        **_GROUP,
        **_SPAN,
        "path": "text",
        "schema": "bytes",
        "bytes": "bigint",
        "batches": "integer",
    },
    (("deployment", "block"), ("deployment", "end")),
    work=True,
)
RETENTION = Table(
    "retention",
    ("deployment",),
    {"deployment": "text", "days": "integer", "reason": "text", "actor": "text", "set_at": "timestamp"},
)
EXPIRED = Table(
    "expired",
    ("deployment",),
    {"deployment": "text", "before": "timestamp"},
)

TABLES = (YOUNG, INDEX, BLOCKS, RETENTION, EXPIRED)


def project(event: Event) -> list[Change]:
    """The rows that a policy of retention, or its effect, sets."""
    match event.data:
        case RetentionSet(deployment=name, days=days, reason=reason):
            row = {"deployment": name, "days": days, "reason": reason, "actor": event.actor, "set_at": event.time}
            return [Put("retention", row)]
        case PredictionsExpired(deployment=name, before=before):
            return [Put("expired", {"deployment": name, "before": before})]
        case _:
            return []
