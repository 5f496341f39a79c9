"""The ledger and the lineage graph as a pure fold: each event becomes its own rows and touches no other's.

Every row is named by its event, so any order in which partitions are consumed, and any replay, gives the same tables.
What a thing is, and which edges hold, is worked out at reading (`asof`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from services.audit.projection import parts, tree
from services.audit.projection.client_ids import client_ids
from services.audit.projection.entry import entry, leaf_hash
from services.audit.projection.lineage import said
from services.audit.projection.lineage.edges import (
    BULK_KINDS,
    kind_of,
)
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.records import Record
from shared.log.tables import Insert, Put, Table

BACKDATED = timedelta(minutes=1)
"""What was recorded so much later than it happened counts as backdated."""

LEDGER = Table(
    "ledger",
    ("event_id",),
    {
        "event_id": "text",
        "type": "text",
        "node": "text",
        "subject": "text",
        "sequence": "bigint",
        "actor": "text",
        "time": "timestamp",
        "recorded": "timestamp",
        "causationid": "text",
        "correlationid": "text",
        "topic": "text",
        "partition": "integer",
        "offset": "bigint",
        "leaf": "bytes",
        "entry": "text",
        "late": "boolean",
        "cold": "bigint",
    },
    indexes=(
        ("topic", "partition", "offset"),
        ("node", "time"),
        ("node", "type", "late", "recorded", "sequence", "time"),
        ("subject", "time"),
        ("type", "time"),
        ("actor", "time"),
        ("time",),
        ("recorded",),
    ),
)
"""`node`: the thing the event is about; `entry`: its canonical JSON (of a batch without the rows, which the log keeps
at `topic`, `partition`, `offset`); `leaf`: SHA-256(0x00 || entry); `late`: recorded longer after it happened than
BACKDATED, so that who asks about a time need not look for it through all that was recorded since; `cold`: null, or the
leaf under which a cold part holds the entry, which is then null here (`parts`)."""

EDGES = Table(
    "edges",
    ("event_id", "number"),
    {
        "event_id": "text",
        "number": "integer",
        "src": "text",
        "relation": "text",
        "role": "text",
        "dst": "text",
        "scope": "text",
        "present": "boolean",
        "detail": "json",
        "valid_at": "timestamp",
        "known_at": "timestamp",
        "sequence": "bigint",
        "bulk": "boolean",
        "late": "boolean",
    },
    indexes=(
        ("src", "scope", "number", "late", "known_at", "sequence", "valid_at"),
        ("dst", "bulk", "valid_at"),
        ("dst", "bulk", "src", "scope", "role", "present", "late", "known_at", "sequence", "valid_at"),
    ),
)
"""`bulk`: the edge comes from a kind of thing that there may be millions of (batches, windows)."""

PREDICTION_IDS = Table(
    "prediction_ids",
    ("event_id", "row"),
    {"event_id": "text", "row": "integer", "prediction_id": "text", "known_at": "timestamp"},
    indexes=(("prediction_id", "known_at"),),
)
"""Where to find a prediction that bears its client's own id. `event_id` is the batch."""

VERIFICATIONS = Table(
    "verifications",
    ("id",),
    {
        "id": "text",
        "state": "text",
        "actor": "text",
        "correlationid": "text",
        "requested_at": "timestamp",
        "heartbeat": "timestamp",
        "events_done": "bigint",
        "events_total": "bigint",
        "rows": "bigint",
        "result": "json",
        "problem": "text",
    },
    indexes=(("state", "requested_at"), ("requested_at",)),
    work=True,
    stays=True,
)
"""Requests for a verification and how far they are: work in hand, not a view; results are events."""

FOLDED = (LEDGER, EDGES, PREDICTION_IDS)
TABLES: tuple[Table, ...] = (*FOLDED, *tree.TABLES, parts.PARTS, VERIFICATIONS)


COLUMNS: dict[str, tuple[str, ...]] = {
    table.name: tuple(column for column in table.columns if column != "cold") for table in FOLDED
}
"""The order of the values in a folded row."""

Folded = dict[str, list[tuple[Any, ...]]]
"""Rows by table, each a tuple of the values of COLUMNS."""


def fold(event: Event, record: Record) -> Folded:
    """The rows of one event: its ledger entry, its edges, its clients' prediction ids."""
    node, edges = said(event)
    known_at = event.recorded or record.recorded
    late = known_at - event.time > BACKDATED
    rows: Folded = {"ledger": [_ledger(event, record, node, known_at)]}
    if edges:
        bulk = kind_of(node) in BULK_KINDS
        rows["edges"] = [
            (
                event.id,
                number,
                edge.src,
                edge.relation,
                edge.role,
                edge.dst,
                edge.scope,
                edge.present,
                edge.detail,
                event.time,
                known_at,
                event.sequence,
                bulk if edge.src is node else kind_of(edge.src) in BULK_KINDS,
                late,
            )
            for number, edge in enumerate(edges)
        ]
    if isinstance(event.data, PredictionLogged) and event.data.client_ids:
        ids = client_ids(event.table or b"")
        rows["prediction_ids"] = [(event.id, row["row"], row["prediction_id"], known_at) for row in ids]
    return rows


def project(event: Event, record: Record) -> list[Put]:
    """The rows of one event as changes: its ledger entry first, then its edges, then its clients' prediction ids."""
    return [
        Put(table, dict(zip(COLUMNS[table], row, strict=True)))
        for table, rows in fold(event, record).items()
        for row in rows
    ]


def inserts(folded: Iterable[Folded]) -> list[Insert]:
    """The new rows of many events, in columns."""
    gathered: Folded = {table: [] for table in COLUMNS}
    for one in folded:
        for table, rows in one.items():
            gathered[table] += rows
    return [
        Insert(table, dict(zip(COLUMNS[table], map(list, zip(*rows, strict=True)), strict=True)))
        for table, rows in gathered.items()
        if rows
    ]


def _ledger(event: Event, record: Record, node: str, known_at: datetime) -> tuple[Any, ...]:
    data = entry(record)
    return (
        event.id,
        type(event.data).__name__,
        node,
        event.subject,
        event.sequence,
        event.actor,
        event.time,
        known_at,
        event.causationid,
        event.correlationid,
        record.topic,
        record.partition,
        record.offset,
        leaf_hash(data),
        data.decode(),
        known_at - event.time > BACKDATED,
    )
