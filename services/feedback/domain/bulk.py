"""Flagging many predictions at once: how far it has got. Stream `bulk/{id}`.

Each step states in one unit of work what was flagged and how far it looked, behind the sequence it was decided on. So a
step that is done twice, by a worker that was killed or by two at once, counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from shared.events.envelope import Event, Payload
from shared.events.feedback import BulkFlagAdvanced, BulkFlagEnded, BulkFlagRequested
from shared.events.refusal import Refused


@dataclass(frozen=True, slots=True)
class Bulk:
    """`at`: (partition, offset) of the last batch looked at. `flags`: the flag of each `version/category/severity`."""

    requested: BulkFlagRequested | None = None
    at: tuple[int, int] = (-1, -1)
    listed: int = 0
    looked: int = 0
    flagged: int = 0
    pending: int = 0
    refused: int = 0
    flags: Mapping[str, str] = field(default_factory=dict[str, str])
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    bulk: BulkFlagRequested


@dataclass(frozen=True, slots=True)
class Advance:
    """One step: up to `at` or `listed`, `looked` at so many more, of which so many were flagged, wait, were refused."""

    at: tuple[int, int]
    listed: int
    looked: int
    flagged: int
    flags: Mapping[str, str]
    pending: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class End:
    state: Literal["completed", "failed"]
    reason: str = ""


Command = Request | Advance | End
initial = Bulk()


def decide(state: Bulk, command: Command) -> Sequence[Payload]:
    """What follows. Raises Refused 409 `already-ended`, `already-requested`."""
    if isinstance(command, Request):
        if state.requested is not None:
            raise Refused("already-requested", f"Bulk {command.bulk.bulk} exists already.")
        return [command.bulk]
    if state.requested is None or state.ended:
        raise Refused("already-ended", "This bulk has ended, or never began.")
    bulk = state.requested.bulk
    if isinstance(command, End):
        counts = {"flagged": state.flagged, "pending": state.pending, "refused": state.refused}
        return [BulkFlagEnded(bulk=bulk, state=command.state, reason=command.reason, **counts)]
    return [
        BulkFlagAdvanced(
            bulk=bulk,
            partition=command.at[0],
            offset=command.at[1],
            listed=command.listed,
            looked=state.looked + command.looked,
            flagged=state.flagged + command.flagged,
            pending=state.pending + command.pending,
            refused=state.refused + command.refused,
            flags={**state.flags, **command.flags},
        )
    ]


def evolve(state: Bulk, event: Event) -> Bulk:
    """The bulk after one more event."""
    match event.data:
        case BulkFlagRequested() as requested:
            return Bulk(requested)
        case BulkFlagAdvanced() as to:
            place = (to.partition, to.offset)
            counts = (to.listed, to.looked, to.flagged, to.pending, to.refused)
            return Bulk(state.requested, place, *counts, to.flags)
        case BulkFlagEnded():
            return replace(state, ended=True)
        case _:
            return state
