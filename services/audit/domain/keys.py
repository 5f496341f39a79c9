"""The stream of signing keys: which one signs now, and by whose word it took over."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.audit.domain.note import SIGNED, BadNote, Note, SignerKey, VerifierKey, parse, parse_verifier
from shared.events.audit import SigningKeyAdopted
from shared.events.envelope import Event, Payload

SUBJECT = "signing-keys"
_TITLE = "muniment signing key"


@dataclass(frozen=True, slots=True)
class Adopt:
    """Let this key sign from now on. `endorsement`: as `endorse` makes it."""

    verifier: VerifierKey
    endorsement: Note


@dataclass(frozen=True, slots=True)
class State:
    """The key that signs, as text; None before the first."""

    verifier: str | None = None


initial = State()


def decide(state: State, command: Adopt) -> Sequence[Payload]:
    """State the new key; the one that signs already is nothing new."""
    verifier = str(command.verifier)
    if verifier == state.verifier:
        return []
    return [
        SigningKeyAdopted(
            origin=command.verifier.name,
            key_id=command.verifier.key_id.hex(),
            verifier=verifier,
            replaces=state.verifier,
            endorsement=str(command.endorsement),
        )
    ]


def evolve(state: State, event: Event) -> State:
    return State(event.data.verifier) if isinstance(event.data, SigningKeyAdopted) else state


def endorse(new: SignerKey, replaces: str | None, old: SignerKey | None) -> Note:
    """The note that hands the signing over: signed by the new key, and by the old one where it is still there."""
    text = f"{_TITLE}\n{new.verifier}\nreplaces {replaces or 'none'}\n"
    note = Note(text, (new.sign(text),))
    return note.signed(old.sign(text)) if old else note


def successor(endorsement: str, trusted: VerifierKey) -> VerifierKey | None:
    """The key to which the trusted one handed over by this note; None where it did not. Raises BadNote."""
    note = parse(endorsement)
    lines = note.text.split("\n")
    if len(lines) != 4 or lines[0] != _TITLE or lines[2] != f"replaces {trusted}":
        return None
    new = parse_verifier(lines[1])
    by = {signature.key_id for signature in note.signatures if trusted.verifies(note.text, signature)}
    own = any(new.verifies(note.text, signature) for signature in note.signatures)
    if new.kind != SIGNED or not by or not own:
        raise BadNote(f"the handing over from {trusted.key_id.hex()} is not signed by both keys")
    return new
