"""How long a deployment's predictions are kept, and what left the archive for that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.events.envelope import Event, Payload
from shared.events.monitor import PredictionsExpired, RetentionSet
from shared.events.refusal import Refused

MAX_DAYS = 36_525


@dataclass(frozen=True, slots=True)
class Keep:
    """Command: keep predictions for so many days after they were made; 0: for ever."""

    deployment: str
    days: int
    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """Command: these predictions, which ended before `before`, leave the archive."""

    deployment: str
    before: datetime
    days: int
    rows: int
    batches: int


@dataclass(frozen=True, slots=True)
class State:
    """`days`: None while no policy was ever set."""

    days: int | None = None
    before: datetime | None = None


initial = State()


def decide(state: State, command: Keep | Expire) -> Sequence[Payload]:
    """Nothing where the policy is the same already. Raises Refused for a number of days that is none."""
    match command:
        case Keep(deployment=name, days=days, reason=reason):
            if not 0 <= days <= MAX_DAYS:
                raise Refused("bad-retention", f"{days} days: it takes 0 (for ever) to {MAX_DAYS}.", status=422)
            return [] if state.days == days else [RetentionSet(deployment=name, days=days, reason=reason)]
        case Expire() as gone:
            return [
                PredictionsExpired(
                    deployment=gone.deployment, before=gone.before, days=gone.days, rows=gone.rows, batches=gone.batches
                )
            ]


def evolve(state: State, event: Event) -> State:
    match event.data:
        case RetentionSet(days=days):
            return replace(state, days=days)
        case PredictionsExpired(before=before):
            return replace(state, before=before)
        case _:
            return state
