"""Data sets of what experts corrected. Stream `corrections/{dataset}`: versions without a gap."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.events.envelope import Event, Payload
from shared.events.feedback import CorrectionsExported


@dataclass(frozen=True, slots=True)
class Export:
    """`made.version` is not looked at: the decision counts."""

    made: CorrectionsExported


initial: CorrectionsExported | None = None


def decide(state: CorrectionsExported | None, command: Export) -> Sequence[Payload]:
    """The next version of the data set, or nothing where the newest holds these very bytes."""
    if state is not None and state.sha256 == command.made.sha256:
        return []
    return [command.made.model_copy(update={"version": state.version + 1 if state else 1})]


def evolve(state: CorrectionsExported | None, event: Event) -> CorrectionsExported | None:
    return event.data if isinstance(event.data, CorrectionsExported) else state
