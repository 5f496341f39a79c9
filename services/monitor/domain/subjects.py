"""Forgetting a person: the key goes, and that it went is on record, under a token that leads back to nobody."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.events.envelope import Event, Payload
from shared.events.monitor import SubjectForgotten


@dataclass(frozen=True, slots=True)
class Forget:
    """Command: destroy the key of this token. `reason` must hold nothing of the person."""

    token: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    forgotten: bool = False


initial = State()


def subject_of(token: str) -> str:
    """The stream of a token."""
    return f"subject/{token.partition(':')[2]}"


def decide(state: State, command: Forget) -> Sequence[Payload]:
    """Nothing where it was forgotten already."""
    return [] if state.forgotten else [SubjectForgotten(subject=command.token, reason=command.reason)]


def evolve(state: State, event: Event) -> State:
    return State(True) if isinstance(event.data, SubjectForgotten) else state
