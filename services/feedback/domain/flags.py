"""Flags: what an expert says is wrong about one prediction, and what becomes of it. Stream `flag/{id}`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.events.envelope import Event, Payload
from shared.events.feedback import (
    FeedbackFlagged,
    FlagCommented,
    FlagLocated,
    FlagResolved,
    FlagTriaged,
    Resolution,
    Severity,
)
from shared.events.plain import not_plain
from shared.events.refusal import Refused

State = Literal["none", "open", "triaged", "resolved"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prediction lies: the batch event, the row in it, and the deployed version that made it."""

    deployment: str
    model: str
    version: int
    batch: str
    row: int


@dataclass(frozen=True, slots=True)
class Raise:
    flag: str
    prediction_id: str
    place: Place | None
    category: str
    severity: Severity
    expected: Any
    comment: str


@dataclass(frozen=True, slots=True)
class Locate:
    place: Place


@dataclass(frozen=True, slots=True)
class Triage:
    assignee: str
    severity: Severity | None
    comment: str


@dataclass(frozen=True, slots=True)
class Comment:
    comment: str


@dataclass(frozen=True, slots=True)
class Resolve:
    resolution: Resolution
    comment: str


Command = Raise | Locate | Triage | Comment | Resolve


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as its stream tells it; `located` once its prediction is known."""

    flag: str = ""
    prediction_id: str = ""
    state: State = "none"
    severity: Severity = "medium"
    located: bool = False


initial = Flag()


def decide(state: Flag, command: Command) -> Sequence[Payload]:
    """What follows from a command. Raises Refused: 404 `unknown-flag`, 409 `already-resolved`, `already-flagged`, 422
    `not-plain` where what was expected cannot be kept."""
    if isinstance(command, Raise):
        return _raise(state, command)
    if state.state == "none":
        raise Refused("unknown-flag", "There is no such flag.", status=404)
    match command:
        case Locate(place=place):
            return [] if state.located else [_located(state, place)]
        case Comment(comment=comment):
            return [FlagCommented(flag=state.flag, comment=comment)]
        case Triage(assignee=assignee, severity=severity, comment=comment):
            _still_open(state)
            return [
                FlagTriaged(flag=state.flag, assignee=assignee, severity=severity or state.severity, comment=comment)
            ]
        case Resolve(resolution=resolution, comment=comment):
            _still_open(state)
            return [FlagResolved(flag=state.flag, resolution=resolution, comment=comment)]


def evolve(state: Flag, event: Event) -> Flag:
    """The flag after one more event."""
    match event.data:
        case FeedbackFlagged() as raised:
            located = raised.batch is not None
            return Flag(raised.flag, raised.prediction_id, "open", raised.severity, located)
        case FlagLocated():
            return replace(state, located=True)
        case FlagTriaged(severity=severity):
            return replace(state, state="triaged", severity=severity)
        case FlagResolved():
            return replace(state, state="resolved")
        case _:
            return state


def _raise(state: Flag, command: Raise) -> Sequence[Payload]:
    if state.state != "none":
        raise Refused("already-flagged", f"Flag {command.flag} exists already.")
    if reason := not_plain(command.expected, "expected"):
        raise Refused("not-plain", f"{reason[0].upper()}{reason[1:]}.", status=422)
    place = command.place
    return [
        FeedbackFlagged(
            flag=command.flag,
            prediction_id=command.prediction_id,
            deployment=place.deployment if place else None,
            model=place.model if place else None,
            version=place.version if place else None,
            batch=place.batch if place else None,
            row=place.row if place else None,
            category=command.category,
            severity=command.severity,
            expected=command.expected,
            comment=command.comment,
        )
    ]


def _located(state: Flag, place: Place) -> FlagLocated:
    return FlagLocated(
        flag=state.flag,
        prediction_id=state.prediction_id,
        deployment=place.deployment,
        model=place.model,
        version=place.version,
        batch=place.batch,
        row=place.row,
    )


def _still_open(state: Flag) -> None:
    if state.state == "resolved":
        raise Refused("already-resolved", f"Flag {state.flag} is resolved; raise a new flag if it is still wrong.")
