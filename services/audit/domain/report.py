"""The stream of a model's issued reports: each has a number, and a scheduled period is reported on once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.events.audit import IssuedFile, ReportIssued
from shared.events.envelope import Event, Payload


@dataclass(frozen=True, slots=True)
class Issue:
    """State that a report was made, with the digests of its bytes. `model` None: the inventory."""

    report: str
    model: str | None
    at: datetime
    known_at: datetime
    gaps: int
    files: tuple[IssuedFile, ...]
    period: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class State:
    number: int = 0
    periods: frozenset[str] = frozenset()


initial = State()


def subject(model: str | None) -> str:
    """The stream of a model's reports, or of the inventory's. No model's name begins with a colon."""
    return f"report/{model or ':inventory'}"


def decide(state: State, command: Issue) -> Sequence[Payload]:
    """Number the report; one of a period that has been reported on states nothing new."""
    if command.period and command.period in state.periods:
        return []
    return [
        ReportIssued(
            report=command.report,
            model=command.model,
            number=state.number + 1,
            at=command.at,
            known_at=command.known_at,
            period=command.period,
            reason=command.reason,
            gaps=command.gaps,
            files=command.files,
        )
    ]


def evolve(state: State, event: Event) -> State:
    if not isinstance(event.data, ReportIssued):
        return state
    periods = state.periods | {event.data.period} if event.data.period else state.periods
    return State(event.data.number, periods)
