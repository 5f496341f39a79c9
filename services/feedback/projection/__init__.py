"""Views: flags and their history, bulks, rules, reviews, and where predictions lie so that a flag can be placed."""

from services.feedback.projection.parts import parts_of
from services.feedback.projection.tables import TABLES
from shared.events.envelope import Event
from shared.events.feedback import (
    BulkFlagAdvanced,
    BulkFlagEnded,
    BulkFlagRequested,
    CorrectionsExported,
    FeedbackFlagged,
    FlagCommented,
    FlagLapsed,
    FlagLimitsSet,
    FlagLocated,
    FlagMerged,
    FlagResolved,
    FlagThresholdBreached,
    FlagTriaged,
    PredictionsFlagged,
    ReviewDrawn,
    ReviewJudged,
    RuleAdopted,
    RuleRetired,
)
from shared.events.monitor import PredictionLogged
from shared.log.tables import Change, Put, Row

__all__ = ["TABLES", "project"]


def project(event: Event) -> list[Change]:
    """The changes that one event makes; a pure function of the event."""
    match event.data:
        case FeedbackFlagged() as raised:
            return [Put("flags", _raised(event, raised)), _history(event, raised.flag, raised.comment)]
        case PredictionsFlagged() as many:
            return _many(event, many)
        case FlagLocated() as found:
            place = found.model_dump(include={"deployment", "model", "version", "batch", "row"})
            state: Row = {"state": "open"} if found.reopened else {}
            return [_flag(found.flag, located=True, **state, **place), _history(event, found.flag, "")]
        case FlagLapsed(flag=flag):
            return [_flag(flag, state="lapsed"), _history(event, flag, "")]
        case FlagTriaged() as said:
            values: Row = {"assignee": said.assignee, "severity": said.severity, "state": said.state}
            due: Row = {"due": said.due} if said.due else {}
            return [_flag(said.flag, **values, **due), _history(event, said.flag, said.comment)]
        case FlagCommented(flag=flag, comment=comment):
            return [_history(event, flag, comment)]
        case FlagMerged(flag=flag, into=into, comment=comment):
            return [_flag(flag, state="merged", merged_into=into), _history(event, flag, comment)]
        case FlagResolved() as resolved:
            return [Put("flags", _resolved(event, resolved)), _history(event, resolved.flag, resolved.comment)]
        case _:
            return _beside(event)


def _beside(event: Event) -> list[Change]:
    """What is no flag."""
    match event.data:
        case FlagThresholdBreached() as breach:
            named = {"deployment", "version", "kind", "open_flags", "threshold", "value", "limit", "unit"}
            columns = breach.model_dump(include=named)
            return [Put("breaches", {"event_id": event.id, "at": event.time, **columns})]
        case PredictionLogged() as logged:
            columns = logged.model_dump(include={"deployment", "model", "version", "rows", "start", "end", "fallback"})
            return [Put("batches", {"batch": event.id, **columns})]
        case BulkFlagRequested() | BulkFlagAdvanced() | BulkFlagEnded():
            return [Put("bulks", _bulk(event, event.data))]
        case FlagLimitsSet() as limits:
            said = limits.model_dump(mode="json", exclude={"deployment"})
            return [Put("limits", {"deployment": limits.deployment, "limits": said, **_by(event)})]
        case RuleAdopted() as rule:
            columns = rule.model_dump(mode="json")
            return [Put("rules", {**columns, "state": "in_force", "reason": "", **_by(event)})]
        case RuleRetired(rule=rule, reason=reason):
            return [Put("rules", {"rule": rule, "state": "retired", "reason": reason, **_by(event)})]
        case ReviewDrawn() as drawn:
            return _review(event, drawn)
        case ReviewJudged() as judged:
            return [Put("judgements", {**judged.model_dump(), "actor": event.actor, "at": event.time})]
        case CorrectionsExported() as made:
            columns = made.model_dump(include={"dataset", "version", "sha256", "rows"})
            return [Put("exports", {"id": made.export, **columns, **_by(event)})]
        case _:
            return []


def _by(event: Event) -> Row:
    return {"event_id": event.id, "actor": event.actor, "at": event.time}


def _flag(flag: str, **columns: object) -> Put:
    return Put("flags", {"id": flag, **columns})


def _raised(event: Event, raised: FeedbackFlagged) -> Row:
    columns = raised.model_dump(exclude={"flag", "due", "slice", "attachments"})
    said: Row = {"state": "open", "located": raised.batch is not None or raised.target != "prediction"}
    said |= {"predictions": 1 if raised.target == "prediction" else 0, "due": raised.due}
    said["slice"] = raised.slice.model_dump(mode="json") if raised.slice else None
    said["attachments"] = [one.model_dump(mode="json") for one in raised.attachments]
    times: Row = {"raised_by": event.actor, "raised_at": event.time, "recorded_at": event.recorded or event.time}
    return {"id": raised.flag, **times, **columns, **said}


def _many(event: Event, many: PredictionsFlagged) -> list[Change]:
    row: Row = {"id": many.flag, "predictions": many.total, "segments": dict(many.segments)}
    if many.part == 1:
        named = {"deployment", "model", "version", "category", "severity", "comment", "via", "bulk", "rule"}
        row |= many.model_dump(include=named) | {"due": many.due, "target": "prediction", "located": True}
        row |= {"state": "open", "raised_by": event.actor, "raised_at": event.time}
        row["recorded_at"] = event.recorded or event.time
    said = many.comment if many.part == 1 else ""
    parts = parts_of(many, event.table) if event.table is not None else []
    return [Put("flags", row), *parts, _history(event, many.flag, said)]


def _resolved(event: Event, resolved: FlagResolved) -> Row:
    said: Row = {"state": "resolved", "resolution": resolved.resolution, "answer": resolved.comment}
    said |= {"resolved_by": event.actor, "resolved_at": event.time, "label": resolved.label}
    return {"id": resolved.flag, **said}


def _history(event: Event, flag: str, comment: str) -> Put:
    said: Row = {"event_id": event.id, "type": event.type, "actor": event.actor, "at": event.time}
    return Put("flag_history", {"flag": flag, "sequence": event.sequence, "comment": comment, **said})


def _bulk(event: Event, said: BulkFlagRequested | BulkFlagAdvanced | BulkFlagEnded) -> Row:
    match said:
        case BulkFlagRequested():
            row: Row = said.model_dump(mode="json", include={"listed", "via", "category", "severity", "comment"})
            row |= {"state": "requested", "looked": 0, "flagged": 0, "pending": 0, "refused": 0, "flags": {}}
            row["query"] = said.query.model_dump(mode="json") if said.query else None
            return {"id": said.bulk, "requested_by": event.actor, "requested_at": event.time, **row}
        case BulkFlagAdvanced():
            row = said.model_dump(include={"looked", "flagged", "pending", "refused", "flags"})
            return {"id": said.bulk, "state": "running", **row}
        case BulkFlagEnded():
            row = said.model_dump(include={"state", "reason", "flagged", "pending", "refused"})
            return {"id": said.bulk, "ended_at": event.time, **row}


def _review(event: Event, drawn: ReviewDrawn) -> list[Change]:
    row: Row = drawn.model_dump(mode="json", include={"deployment", "version", "design", "output", "strata"})
    items: list[Change] = [
        Put("review_items", {"review": drawn.review, "place": place, **item.model_dump()})
        for place, item in enumerate(drawn.items)
    ]
    return [Put("reviews", {"id": drawn.review, "items": len(drawn.items), **row, **_by(event)}), *items]
