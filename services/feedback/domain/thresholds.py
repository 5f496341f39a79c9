"""Limits of flags that are reached, and left again. Stream `flags/{deployment}/{version}`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.feedback.domain.limits import Over
from shared.events.envelope import Event, Payload
from shared.events.feedback import Breach as Kind
from shared.events.feedback import FlagThresholdBreached, FlagThresholdCleared


@dataclass(frozen=True, slots=True)
class Compare:
    """What is open of a version now, and which limits that reaches."""

    deployment: str
    model: str
    version: int
    open_flags: int
    reached: Mapping[Kind, Over]


State = frozenset[Kind]
"""The limits that are said to be reached."""

initial: State = frozenset()


def decide(state: State, command: Compare) -> Sequence[Payload]:
    """FlagThresholdBreached of every limit that is reached and was not said to be, FlagThresholdCleared of the others.
    So it depends on what is on record and what is open alone, and a rebuild of the views states nothing anew."""
    told: list[Payload] = []
    of = {"deployment": command.deployment, "model": command.model, "version": command.version}
    for kind, over in command.reached.items():
        if kind not in state:
            told.append(
                FlagThresholdBreached(
                    **of,  # type: ignore[arg-type]
                    open_flags=command.open_flags,
                    threshold=int(over.limit) if kind in ("open", "severity") else 0,
                    kind=kind,
                    value=over.value,
                    limit=over.limit,
                    unit=over.unit,
                )
            )
    left = [kind for kind in sorted(state) if kind not in command.reached]
    told += [FlagThresholdCleared(**of, open_flags=command.open_flags, kind=kind) for kind in left]  # type: ignore[arg-type]
    return told


def evolve(state: State, event: Event) -> State:
    """The limits reached after one more event."""
    match event.data:
        case FlagThresholdBreached(kind=kind):
            return state.union(_one(kind))
        case FlagThresholdCleared(kind=kind):
            return state.difference(_one(kind))
        case _:
            return state


def _one(kind: Kind) -> State:
    return frozenset((kind,))
