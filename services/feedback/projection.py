"""Views: flags and their history, and where predictions lie so that a flag can be placed."""

from shared.events.envelope import Event
from shared.events.feedback import (
    FeedbackFlagged,
    FlagCommented,
    FlagLocated,
    FlagResolved,
    FlagThresholdBreached,
    FlagTriaged,
)
from shared.events.monitor import PredictionLogged
from shared.log.tables import Change, Put, Row, Table

FLAGS = Table(
    "flags",
    ("id",),
    {
        "id": "text",
        "prediction_id": "text",
        "deployment": "text",
        "model": "text",
        "version": "integer",
        "batch": "text",
        "row": "integer",
        "located": "boolean",
        "category": "text",
        "severity": "text",
        "expected": "json",
        "comment": "text",
        "state": "text",
        "raised_by": "text",
        "raised_at": "timestamp",
        "assignee": "text",
        "resolution": "text",
        "resolved_by": "text",
        "resolved_at": "timestamp",
        "answer": "text",
    },
    indexes=(("deployment", "version", "state"), ("prediction_id",), ("raised_at",), ("state",)),
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
BREACHES = Table(
    "breaches",
    ("event_id",),
    {
        "event_id": "text",
        "deployment": "text",
        "version": "integer",
        "open_flags": "integer",
        "threshold": "integer",
        "at": "timestamp",
    },
    indexes=(("deployment", "version"),),
)
LEVELS = Table(
    "levels",
    ("deployment", "version"),
    {"deployment": "text", "version": "integer", "open_flags": "integer", "breached": "boolean"},
)
BATCHES = Table(
    "batches",
    ("batch",),
    {"batch": "text", "deployment": "text", "model": "text", "version": "integer", "rows": "integer"},
)
CLIENT_IDS = Table("client_ids", ("id",), {"id": "text", "batch": "text", "row": "integer"})
TABLES: tuple[Table, ...] = (FLAGS, HISTORY, BREACHES, LEVELS, BATCHES, CLIENT_IDS)


def project(event: Event) -> list[Change]:
    """The changes that one event makes; a pure function of the event."""
    match event.data:
        case FeedbackFlagged() as raised:
            return [Put("flags", _raised(event, raised)), _history(event, raised.flag, raised.comment)]
        case FlagLocated() as found:
            place = found.model_dump(include={"deployment", "model", "version", "batch", "row"})
            return [Put("flags", {"id": found.flag, "located": True, **place}), _history(event, found.flag, "")]
        case FlagTriaged() as triaged:
            values: Row = {"assignee": triaged.assignee, "severity": triaged.severity, "state": "triaged"}
            return [Put("flags", {"id": triaged.flag, **values}), _history(event, triaged.flag, triaged.comment)]
        case FlagCommented() as commented:
            return [_history(event, commented.flag, commented.comment)]
        case FlagResolved() as resolved:
            return [Put("flags", _resolved(event, resolved)), _history(event, resolved.flag, resolved.comment)]
        case FlagThresholdBreached() as breach:
            columns = breach.model_dump(include={"deployment", "version", "open_flags", "threshold"})
            return [Put("breaches", {"event_id": event.id, "at": event.time, **columns})]
        case PredictionLogged() as logged:
            columns = logged.model_dump(include={"deployment", "model", "version", "rows"})
            return [Put("batches", {"batch": event.id, **columns})]
        case _:
            return []


def _raised(event: Event, raised: FeedbackFlagged) -> Row:
    columns = raised.model_dump(exclude={"flag"})
    said: Row = {"state": "open", "located": raised.batch is not None}
    return {"id": raised.flag, "raised_by": event.actor, "raised_at": event.time, **said, **columns}


def _resolved(event: Event, resolved: FlagResolved) -> Row:
    said: Row = {"state": "resolved", "resolution": resolved.resolution, "answer": resolved.comment}
    return {"id": resolved.flag, "resolved_by": event.actor, "resolved_at": event.time, **said}


def _history(event: Event, flag: str, comment: str) -> Put:
    said: Row = {"event_id": event.id, "type": event.type, "actor": event.actor, "at": event.time}
    return Put("flag_history", {"flag": flag, "sequence": event.sequence, "comment": comment, **said})
