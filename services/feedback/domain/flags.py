"""Flags: what an expert says is wrong, and what becomes of it. Stream `flag/{id}`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from services.feedback.domain.flag_state import ENDED, Flag, State, evolve, initial
from shared.events.envelope import Payload
from shared.events.feedback import (
    Attachment,
    FeedbackFlagged,
    FlagCommented,
    FlagLapsed,
    FlagLinkUsed,
    FlagLocated,
    FlagMerged,
    FlagResolved,
    FlagTriaged,
    PredictionQuery,
    Resolution,
    Severity,
    Target,
    TriageState,
    Via,
)
from shared.events.plain import not_plain
from shared.events.refusal import Refused

__all__ = [
    "Comment",
    "Flag",
    "Lapse",
    "Locate",
    "Merge",
    "Place",
    "Raise",
    "Resolve",
    "Subject",
    "Triage",
    "decide",
    "evolve",
    "initial",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prediction lies: the batch event, the row in it, and the deployed version that made it."""

    deployment: str
    model: str
    version: int
    batch: str
    row: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What else than a prediction is flagged: a slice of a deployment, a model (or a version of it), a pipeline."""

    target: Target
    deployment: str | None = None
    model: str | None = None
    version: int | None = None
    slice: PredictionQuery | None = None
    pipeline: str | None = None


@dataclass(frozen=True, slots=True)
class Raise:
    """`link`, `issuer`: of a flag that a signed link raised."""

    flag: str
    prediction_id: str
    place: Place | None
    category: str
    severity: Severity
    expected: Any
    comment: str
    subject: Subject | None = None
    attachments: tuple[Attachment, ...] = ()
    via: Via = "api"
    due: datetime | None = None
    link: str | None = None
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Locate:
    place: Place


@dataclass(frozen=True, slots=True)
class Lapse:
    """The prediction did not come for so long."""

    waited_seconds: float


@dataclass(frozen=True, slots=True)
class Triage:
    assignee: str
    severity: Severity | None
    comment: str
    state: TriageState = "triaged"
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    comment: str


@dataclass(frozen=True, slots=True)
class Merge:
    """`into_state`: of the flag that it says the same as."""

    into: str
    into_state: State
    comment: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """`label`: what came true by the expert's word; None takes what the flag expected, where that is a number."""

    resolution: Resolution
    comment: str
    label: float | None = None


Command = Raise | Locate | Lapse | Triage | Comment | Merge | Resolve


def decide(state: Flag, command: Command) -> Sequence[Payload]:
    """What follows from a command. Raises Refused: 404 `unknown-flag`; 409 `already-resolved`, `already-merged`,
    `already-flagged`; 422 `not-plain` where what was expected cannot be kept, `bad-merge`, `bad-label`."""
    if isinstance(command, Raise):
        return _raise(state, command)
    if state.state == "none":
        raise Refused("unknown-flag", "There is no such flag.", status=404)
    match command:
        case Locate(place=place):
            return [] if state.located else [_located(state, place)]
        case Lapse(waited_seconds=waited):
            waits = not state.located and state.state not in ENDED | {"lapsed"}
            lapsed = FlagLapsed(flag=state.flag, prediction_id=state.prediction_id, waited_seconds=waited)
            return [lapsed] if waits else []
        case Comment(comment=comment):
            return [FlagCommented(flag=state.flag, comment=comment)]
        case Triage():
            return [_triaged(state, command)]
        case Merge():
            return [_merged(state, command)]
        case Resolve():
            return [_resolved(state, command)]


def _raise(state: Flag, command: Raise) -> Sequence[Payload]:
    if state.state != "none":
        raise Refused("already-flagged", f"Flag {command.flag} exists already.")
    if reason := not_plain(command.expected, "expected"):
        raise Refused("not-plain", f"{reason[0].upper()}{reason[1:]}.", status=422)
    place, subject = command.place, command.subject or Subject("prediction")
    of: Place | Subject = place or subject
    flagged = FeedbackFlagged(
        flag=command.flag,
        prediction_id=command.prediction_id,
        deployment=of.deployment,
        model=of.model,
        version=of.version,
        batch=place.batch if place else None,
        row=place.row if place else None,
        category=command.category,
        severity=command.severity,
        expected=command.expected,
        comment=command.comment,
        target=subject.target,
        slice=subject.slice,
        pipeline=subject.pipeline,
        attachments=command.attachments,
        via=command.via,
        due=command.due,
    )
    if command.link is None:
        return [flagged]
    return [flagged, FlagLinkUsed(link=command.link, issuer=command.issuer, flag=command.flag)]


def _located(state: Flag, place: Place) -> FlagLocated:
    return FlagLocated(
        flag=state.flag,
        prediction_id=state.prediction_id,
        deployment=place.deployment,
        model=place.model,
        version=place.version,
        batch=place.batch,
        row=place.row,
        reopened=state.state == "lapsed",
    )


def _triaged(state: Flag, command: Triage) -> FlagTriaged:
    _still_open(state)
    return FlagTriaged(
        flag=state.flag,
        assignee=command.assignee,
        severity=command.severity or state.severity,
        comment=command.comment,
        state=command.state,
        due=command.due,
    )


def _merged(state: Flag, command: Merge) -> FlagMerged:
    _still_open(state)
    if command.into == state.flag:
        raise Refused("bad-merge", "A flag cannot be merged into itself.", status=422)
    if command.into_state in ("none", "merged"):
        why = "does not exist" if command.into_state == "none" else "was merged itself; name the flag it went into"
        raise Refused("bad-merge", f"Flag {command.into} {why}.", status=422)
    return FlagMerged(flag=state.flag, into=command.into, comment=command.comment)


def _resolved(state: Flag, command: Resolve) -> FlagResolved:
    _still_open(state)
    label = command.label
    if label is not None and (command.resolution != "label_corrected" or not isfinite(label)):
        raise Refused("bad-label", "'label' is a number and belongs to the resolution label_corrected.", status=422)
    if label is None and command.resolution == "label_corrected":
        label = number_of(state.expected)
    return FlagResolved(flag=state.flag, resolution=command.resolution, comment=command.comment, label=label)


def number_of(expected: Any) -> float | None:
    """What was expected as an outcome is told: a number, or truth as 1 and 0; None where it is neither."""
    if isinstance(expected, bool | int | float) and isfinite(expected):
        return float(expected)
    return None


def _still_open(state: Flag) -> None:
    if state.state == "resolved":
        raise Refused("already-resolved", f"Flag {state.flag} is resolved; raise a new flag if it is still wrong.")
    if state.state == "merged":
        raise Refused("already-merged", f"Flag {state.flag} was merged into {state.into}; speak about that one.")
