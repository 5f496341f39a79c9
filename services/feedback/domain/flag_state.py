"""What decisions on one flag need to know of its stream `flag/{id}`."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.events.envelope import Event
from shared.events.feedback import (
    FeedbackFlagged,
    FlagLapsed,
    FlagLocated,
    FlagMerged,
    FlagResolved,
    FlagTriaged,
    PredictionsFlagged,
    Severity,
    Target,
    TriageState,
)

State = Literal["none", "open", "resolved", "merged", "lapsed"] | TriageState
ENDED: frozenset[str] = frozenset({"resolved", "merged"})


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as its stream tells it; `located` once its prediction is known. `total`, `parts`, `segments`: of a flag
    that stands for many predictions. `into`: the flag that it was merged into. `batches`: those that a rule's
    flag names."""

    flag: str = ""
    prediction_id: str = ""
    state: State = "none"
    severity: Severity = "medium"
    located: bool = False
    target: Target = "prediction"
    expected: Any = None
    total: int = 0
    parts: int = 0
    segments: tuple[tuple[str, int], ...] = ()
    into: str | None = None
    batches: frozenset[str] = frozenset()


initial = Flag()


def evolve(state: Flag, event: Event) -> Flag:
    """The flag after one more event."""
    match event.data:
        case FeedbackFlagged() as raised:
            located = raised.batch is not None
            return Flag(
                raised.flag,
                raised.prediction_id,
                "open",
                raised.severity,
                located,
                raised.target,
                raised.expected,
            )
        case PredictionsFlagged() as many:
            segments = tuple(sorted(many.segments.items()))
            opened = state if state.state != "none" else Flag(many.flag, "", "open", many.severity, True)
            named = opened.batches.union(many.batches) if many.rule else opened.batches
            return replace(opened, total=many.total, parts=many.part, segments=segments, batches=named)
        case FlagLocated(reopened=reopened):
            return replace(state, located=True, state="open" if reopened else state.state)
        case FlagLapsed():
            return replace(state, state="lapsed")
        case FlagTriaged(severity=severity, state=to):
            return replace(state, state=to, severity=severity)
        case FlagMerged(into=into):
            return replace(state, state="merged", into=into)
        case FlagResolved():
            return replace(state, state="resolved")
        case _:
            return state
