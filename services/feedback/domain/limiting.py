"""From when on flags of a deployment are too many, as somebody set it. Stream `flag-limits/{deployment}`."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.events.envelope import Event, Payload
from shared.events.feedback import FlagLimitsSet
from shared.events.refusal import Refused


@dataclass(frozen=True, slots=True)
class SetLimits:
    limits: FlagLimitsSet


initial: FlagLimitsSet | None = None


def decide(state: FlagLimitsSet | None, command: SetLimits) -> Sequence[Payload]:
    """The limits, or nothing where they are in force. Raises Refused 422 `bad-limits`."""
    limits = command.limits
    if limits.harm_limit is not None and not (limits.harm and limits.unit):
        raise Refused(
            "bad-limits", "A limit of harm needs 'harm' by severity, and its 'unit', such as USD.", status=422
        )
    return [] if limits == state else [limits]


def evolve(state: FlagLimitsSet | None, event: Event) -> FlagLimitsSet | None:
    return event.data if isinstance(event.data, FlagLimitsSet) else state
