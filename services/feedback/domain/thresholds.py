"""Breaches of the limits of flags. Stream `flags/{deployment}/{version}`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.feedback.domain.limits import Over
from shared.events.envelope import Event, Payload
from shared.events.feedback import Breach as Kind
from shared.events.feedback import FlagThresholdBreached


@dataclass(frozen=True, slots=True)
class Breach:
    """Open flags of a version were seen to reach a limit; `cause`: the event that made them so many."""

    deployment: str
    model: str
    version: int
    open_flags: int
    kind: Kind
    over: Over
    cause: str
    recorded: datetime | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The causes of all breaches so far, and the record time of the newest of each kind."""

    causes: frozenset[tuple[Kind, str]] = frozenset()
    newest: Mapping[Kind, datetime] = field(default_factory=dict[Kind, datetime])


initial = State()


def decide(state: State, command: Breach) -> Sequence[Payload]:
    """FlagThresholdBreached once per cause, and never for what was recorded before the newest cause: a rebuild of the
    views, in which flags of different streams meet in another order, states nothing anew."""
    newest = state.newest.get(command.kind)
    old = newest is not None and command.recorded is not None and command.recorded <= newest
    if old or (command.kind, command.cause) in state.causes:
        return []
    over = command.over
    return [
        FlagThresholdBreached(
            deployment=command.deployment,
            model=command.model,
            version=command.version,
            open_flags=command.open_flags,
            threshold=int(over.limit) if command.kind in ("open", "severity") else 0,
            kind=command.kind,
            value=over.value,
            limit=over.limit,
            unit=over.unit,
            cause_recorded=command.recorded,
        )
    ]


def evolve(state: State, event: Event) -> State:
    """The state after one more breach."""
    if not isinstance(event.data, FlagThresholdBreached):
        return state
    kind, recorded = event.data.kind, event.data.cause_recorded
    cause: frozenset[tuple[Kind, str]] = frozenset({(kind, event.causationid)} if event.causationid else ())
    causes = state.causes | cause
    if recorded is None:
        return State(causes, state.newest)
    return State(causes, {**state.newest, kind: max(recorded, state.newest.get(kind, recorded))})
