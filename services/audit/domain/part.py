"""The stream of the ledger's cold parts: each continues the one before, and none is stated twice."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from services.audit.domain.merkle import Range
from services.audit.domain.tiles import WIDTH
from shared.events.audit import LedgerPartArchived
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused

SUBJECT = "ledger-parts"


@dataclass(frozen=True, slots=True)
class Archive:
    """State a part that lies in `file` and was read back. `root`: over its leaves; `size`: of the checkpoint to which
    the proof in the file leads."""

    leaves: Range
    root: bytes
    file: str
    sha256: str
    length: int
    size: int


@dataclass(frozen=True, slots=True)
class State:
    """How many parts there are, and the leaf behind the last."""

    parts: int = 0
    end: int = 0


initial = State()


def following(state: State, leaves: int) -> Range:
    """The leaves of the next part, of at most so many: a perfect subtree that begins where the last part ended."""
    most = max(WIDTH, 1 << max(leaves, 1).bit_length() - 1)
    size = min(most, state.end & -state.end) if state.end else most
    return Range(state.end, state.end + size)


def decide(state: State, command: Archive) -> Sequence[Payload]:
    """State it. Raises Refused where it does not continue the last part, or is no perfect subtree of whole tiles."""
    first, end = command.leaves
    size = end - first
    if first != state.end or size < WIDTH or size & (size - 1) or first % size or end > command.size:
        detail = f"the leaves {first} to {end} do not follow the parts up to {state.end} as a subtree"
        raise Refused("part-out-of-order", detail)
    return [
        LedgerPartArchived(
            part=state.parts + 1,
            first=first,
            end=end,
            root=b64encode(command.root).decode(),
            file=command.file,
            sha256=command.sha256,
            length=command.length,
            size=command.size,
        )
    ]


def evolve(state: State, event: Event) -> State:
    return State(event.data.part, event.data.end) if isinstance(event.data, LedgerPartArchived) else state
