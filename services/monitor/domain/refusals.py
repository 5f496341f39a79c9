"""Predictions that intake refused, counted by the window in which they came. One stream per deployment, version and
window, so that several replicas of the API add up and none grows long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.events.envelope import Event, Payload
from shared.events.monitor import PredictionsRefused

MAX_REASONS = 50
"""Reasons counted by name in a window: callers choose the names of columns."""

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Refused:
    """How many bodies and rows were refused, and rows by reason."""

    bodies: int = 0
    rows: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])

    def plus(self, other: "Refused") -> "Refused":
        """Both together."""
        reasons = dict(self.reasons)
        for reason, rows in sorted(other.reasons.items()):
            name = reason if reason in reasons or len(reasons) < MAX_REASONS else OTHER
            reasons[name] = reasons.get(name, 0) + rows
        return Refused(self.bodies + other.bodies, self.rows + other.rows, reasons)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Command: so much was refused since the last word of it."""

    deployment: str
    model: str
    version: int
    window_start: datetime
    window_end: datetime
    refused: Refused

    @property
    def subject(self) -> str:
        return f"refusals/{self.deployment}/{self.version}/{self.window_start:%Y%m%dT%H%M%SZ}"


initial = Refused()


def decide(state: Refused, command: Refuse) -> Sequence[Payload]:
    """All of the window so far."""
    if not command.refused.bodies:
        return []
    total = state.plus(command.refused)
    return [
        PredictionsRefused(
            deployment=command.deployment,
            model=command.model,
            version=command.version,
            window_start=command.window_start,
            window_end=command.window_end,
            bodies=total.bodies,
            rows=total.rows,
            reasons=dict(total.reasons),
        )
    ]


def evolve(state: Refused, event: Event) -> Refused:
    match event.data:
        case PredictionsRefused(bodies=bodies, rows=rows, reasons=reasons):
            return Refused(bodies, rows, reasons)
        case _:
            return state
