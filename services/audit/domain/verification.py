"""What audit itself states: that it compared the log with its views, and what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.events.audit import TreeVerified, VerificationCompleted
from shared.events.envelope import Event, Payload


@dataclass(frozen=True, slots=True)
class Complete:
    """A comparison came to its end. Digests are SHA-256 in hex; `first_difference` None means equal. `tree`: what the
    check of the Merkle tree came to, where it was made."""

    verification: str
    events: int
    rows: int
    digest_live: str
    digest_replayed: str
    first_difference: str | None
    tree: TreeVerified | None = None


@dataclass(frozen=True, slots=True)
class State:
    completed: bool = False


initial = State()


def decide(state: State, command: Complete) -> Sequence[Payload]:
    """State the result once; a run that a crash made again states nothing new."""
    if state.completed:
        return []
    tree = command.tree
    first = command.first_difference or (tree.first_difference if tree else None)
    different = first is not None or command.digest_live != command.digest_replayed
    outcome: Literal["equal", "different"] = "different" if different else "equal"
    return [
        VerificationCompleted(
            verification=command.verification,
            outcome=outcome,
            events=command.events,
            rows=command.rows,
            digest_live=command.digest_live,
            digest_replayed=command.digest_replayed,
            first_difference=first,
        ),
        *([tree] if tree else []),
    ]


def evolve(state: State, event: Event) -> State:
    return State(completed=True) if isinstance(event.data, VerificationCompleted) else state
