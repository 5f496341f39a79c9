"""The ledger and the lineage graph as a pure fold: each event becomes its own rows and touches no other's.

Every row is named by its event, so any order in which partitions are consumed, and any replay, gives the same tables.
What a thing is, and which edges hold, is worked out at reading (`asof`).
"""

from services.audit.projection.client_ids import client_ids
from services.audit.projection.entry import entry, leaf_hash
from services.audit.projection.lineage import BULK_KINDS, kind_of, said
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.records import Record
from shared.log.tables import Put, Row, Table

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
    },
    indexes=(
        ("topic", "partition", "offset"),
        ("node", "time"),
        ("subject", "time"),
        ("type", "time"),
        ("actor", "time"),
        ("time",),
        ("recorded",),
    ),
)
"""`node`: the thing the event is about; `entry`: its canonical JSON (of a batch without the rows, which the log keeps
at `topic`, `partition`, `offset`); `leaf`: SHA-256(0x00 || entry)."""

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
    },
    indexes=(("src", "valid_at"), ("dst", "bulk", "valid_at")),
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
)
"""Requests for a verification and how far they are: work in hand, not a view; results are events."""

FOLDED = (LEDGER, EDGES, PREDICTION_IDS)
TABLES: tuple[Table, ...] = (*FOLDED, VERIFICATIONS)


def project(event: Event, record: Record) -> list[Put]:
    """The rows of one event: its ledger entry first, then its edges, then its clients' prediction ids."""
    node, edges = said(event)
    data = entry(record)
    known_at = event.recorded or record.recorded
    changes = [Put("ledger", _ledger(event, record, node, data))]
    bulk = kind_of(node) in BULK_KINDS
    for number, edge in enumerate(edges):
        row: Row = {
            "event_id": event.id,
            "number": number,
            "src": edge.src,
            "relation": edge.relation,
            "role": edge.role,
            "dst": edge.dst,
            "scope": edge.scope,
            "present": edge.present,
            "detail": edge.detail,
            "valid_at": event.time,
            "known_at": known_at,
            "sequence": event.sequence,
            "bulk": bulk if edge.src is node else kind_of(edge.src) in BULK_KINDS,
        }
        changes.append(Put("edges", row))
    if isinstance(event.data, PredictionLogged) and event.data.client_ids:
        rows = client_ids(event.table or b"")
        changes += [Put("prediction_ids", {"event_id": event.id, "known_at": known_at, **row}) for row in rows]
    return changes


def _ledger(event: Event, record: Record, node: str, data: bytes) -> Row:
    return {
        "event_id": event.id,
        "type": type(event.data).__name__,
        "node": node,
        "subject": event.subject,
        "sequence": event.sequence,
        "actor": event.actor,
        "time": event.time,
        "recorded": event.recorded or record.recorded,
        "causationid": event.causationid,
        "correlationid": event.correlationid,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "leaf": leaf_hash(data),
        "entry": data.decode(),
    }
