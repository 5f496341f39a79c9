"""The stream of one checkpoint's cosignatures: each witness once."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.audit.domain.checkpoint import Checkpoint
from services.audit.domain.note import Signature, VerifierKey, timestamp
from shared.events.audit import CheckpointCosigned
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused


@dataclass(frozen=True, slots=True)
class Cosign:
    """Keep a witness's signature of a checkpoint."""

    checkpoint: Checkpoint
    verifier: VerifierKey
    signature: Signature


@dataclass(frozen=True, slots=True)
class State:
    """The keys of the witnesses that have signed."""

    verifiers: frozenset[str] = frozenset()


initial = State()


def subject(size: int) -> str:
    """The stream of the checkpoint of this size."""
    return f"cosignatures/{size}"


def decide(state: State, command: Cosign) -> Sequence[Payload]:
    """State the first signature of each witness. Raises Refused where it is not that witness's over the checkpoint."""
    checkpoint, verifier = command.checkpoint, command.verifier
    if not verifier.verifies(checkpoint.text, command.signature):
        detail = f"The signature is not that of {verifier.name} over the checkpoint of {checkpoint.size} leaves."
        raise Refused("false-cosignature", detail, fix="Check the witness's key in the settings.")
    if str(verifier) in state.verifiers:
        return []
    return [
        CheckpointCosigned(
            size=checkpoint.size,
            root=b64encode(checkpoint.root).decode(),
            witness=verifier.name,
            verifier=str(verifier),
            at=datetime.fromtimestamp(timestamp(command.signature), UTC),
            signature=command.signature.line,
        )
    ]


def evolve(state: State, event: Event) -> State:
    if not isinstance(event.data, CheckpointCosigned):
        return state
    return State(state.verifiers | {event.data.verifier})
