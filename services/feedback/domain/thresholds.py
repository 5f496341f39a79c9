"""When open flags of a deployed version are too many. Stream `flags/{deployment}/{version}`."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.events.envelope import Event, Payload
from shared.events.feedback import FlagThresholdBreached


@dataclass(frozen=True, slots=True)
class Breach:
    """Open flags of a version were seen to reach the threshold; `cause`: the event that made them so many."""

    deployment: str
    model: str
    version: int
    open_flags: int
    threshold: int
    cause: str


initial: frozenset[str] = frozenset()


def decide(state: frozenset[str], command: Breach) -> Sequence[Payload]:
    """FlagThresholdBreached once per cause, so that a rebuild of the views states nothing anew."""
    if command.cause in state:
        return []
    return [
        FlagThresholdBreached(
            deployment=command.deployment,
            model=command.model,
            version=command.version,
            open_flags=command.open_flags,
            threshold=command.threshold,
        )
    ]


def evolve(state: frozenset[str], event: Event) -> frozenset[str]:
    """The causes of all breaches so far."""
    return state | {event.causationid} if event.causationid else state
