"""The stream of checkpoints: each continues the one before, and none is ever signed twice.

State and command come from the sequencer, which holds the tree alone; see docs/decisions on the order of leaves.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from services.audit.domain.checkpoint import Checkpoint
from services.audit.domain.note import Note
from shared.events.audit import CheckpointCosigned, CheckpointSigned, LogOffset, LogRun
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused

SUBJECT = "tree"
OWN_TYPES = frozenset({CheckpointSigned.__name__, CheckpointCosigned.__name__})
"""What the tree itself leads to: no reason to sign again, or signing would never end."""


@dataclass(frozen=True, slots=True)
class Sign:
    """State a signed checkpoint. `previous`: the size on which it was computed."""

    checkpoint: Checkpoint
    note: Note
    previous: int
    runs: tuple[LogRun, ...]
    offsets: tuple[LogOffset, ...]


@dataclass(frozen=True, slots=True)
class State:
    size: int = 0


initial = State()


def decide(state: State, command: Sign) -> Sequence[Payload]:
    """State it. Raises Refused where it does not continue the last checkpoint by as many leaves as its runs hold."""
    checkpoint, (signature, *_) = command.checkpoint, command.note.signatures
    leaves = sum(run.end - run.begin for run in command.runs)
    if command.previous != state.size or checkpoint.size != state.size + leaves or leaves <= 0:
        detail = f"a tree of {state.size} leaves is not continued by {leaves} to {checkpoint.size}"
        raise Refused("checkpoint-out-of-order", detail)
    return [
        CheckpointSigned(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=b64encode(checkpoint.root).decode(),
            previous=state.size,
            runs=command.runs,
            offsets=command.offsets,
            key_id=signature.key_id.hex(),
            note=str(command.note),
        )
    ]


def evolve(state: State, event: Event) -> State:
    return State(event.data.size) if isinstance(event.data, CheckpointSigned) else state
