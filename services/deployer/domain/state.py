"""A deployment as its events tell it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.deployer.domain.routing import arrange
from shared.events.deployer import (
    CanaryEnded,
    CanaryHeld,
    CanaryResumed,
    CanaryStarted,
    Deployed,
    Fallback,
    FallbackSet,
    LossReason,
    PredictionsLost,
    Promoted,
    Reacted,
    ReactionsSet,
    Resources,
    ResourcesDeclared,
    Retired,
    RolledBack,
    Runtime,
    Traffic,
    TrafficChanged,
)
from shared.events.envelope import Event

MAX_EARLIER = 100
"""How many steps can be rolled back; older ones stay in the history only."""

MAX_LOST = 1_000
"""Counts of earlier processes that are remembered, so that none is stated twice."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary under way: the place of its step in the plan, since when it has been there, and why it is held."""

    plan: CanaryStarted
    step: int
    since: datetime
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How to react, since when, and the last reaction: what was told then, and how hard it was."""

    said: ReactionsSet | None = None
    since: datetime | None = None
    told: datetime | None = None
    hardness: int = 0


DEFAULT_FALLBACK = Fallback()
HARDNESS = {"warned": 0, "held": 1, "rolled_back": 2}


def _never() -> dict[int, datetime]:
    return {}


@dataclass(frozen=True, slots=True)
class State:
    """`version`: as first deployed. `earlier`: what a rollback returns to, newest last. `buckets`: who answers which
    bucket of keys, see `routing.arrange`. `answering`: since when each version has had a share without a break."""

    deployment: str
    model: str
    version: int
    environment: str
    runtime: Runtime
    resources: Resources
    traffic: Traffic
    earlier: tuple[Traffic, ...] = ()
    retired: bool = False
    buckets: NDArray[np.int32] | None = field(default=None, compare=False)
    answering: Mapping[int, datetime] = field(default_factory=_never)
    canary: Canary | None = None
    policy: Policy = Policy()
    fallback: Fallback = DEFAULT_FALLBACK
    lost: tuple[tuple[str, int, LossReason], ...] = ()

    @property
    def exists(self) -> bool:
        return self.version > 0


INITIAL = State("", "", 0, "", Runtime(kind="onnx"), Resources(), Traffic(champion=0))


def evolve(state: State, event: Event) -> State:
    """The state after one more event."""
    match event.data:
        case Deployed() as fact:
            return State(
                fact.deployment,
                fact.model,
                fact.version,
                fact.environment,
                fact.runtime,
                fact.resources,
                fact.traffic,
                buckets=arrange(None, fact.traffic),
                answering={fact.version: _taken(event)},
            )
        case TrafficChanged() | Promoted() as fact:
            return replace(_moved(state, event, fact.after), earlier=(*state.earlier, fact.before)[-MAX_EARLIER:])
        case RolledBack() as fact:
            return replace(_moved(state, event, fact.after), earlier=_before(state.earlier, fact.after))
        case Retired():
            return replace(state, retired=True, canary=None)
        case ReactionsSet() as said:
            return replace(state, policy=Policy(said, _taken(event)))
        case Reacted(told=told, did=did):
            return replace(state, policy=replace(state.policy, told=told, hardness=HARDNESS[did]))
        case ResourcesDeclared(resources=resources):
            return replace(state, resources=resources)
        case FallbackSet(fallback=fallback):
            return replace(state, fallback=fallback)
        case PredictionsLost(process=process, version=version, reason=reason):
            return replace(state, lost=(*state.lost, (process, version, reason))[-MAX_LOST:])
        case _:
            return replace(state, canary=_canary(state.canary, event))


def shares(traffic: Traffic) -> dict[int, float]:
    """The percent of each version that answers."""
    given = {share.version: share.percent for share in traffic.challengers if share.percent > 0}
    return given | {traffic.champion: 100.0 - sum(given.values())}


def _canary(canary: Canary | None, event: Event) -> Canary | None:
    match event.data:
        case CanaryStarted() as plan:
            return Canary(plan, 0, event.time)
        case CanaryHeld(reason=reason) if canary is not None:
            return replace(canary, held=reason or "held")
        case CanaryResumed() if canary is not None:
            return replace(canary, held=None, since=event.time)
        case CanaryEnded():
            return None
        case _:
            return canary


def _moved(state: State, event: Event, traffic: Traffic) -> State:
    now = {version: state.answering.get(version, _taken(event)) for version in shares(traffic)}
    moved = replace(state, traffic=traffic, buckets=arrange(state.buckets, traffic), answering=now)
    canary = state.canary
    if canary is None:
        return moved
    percent, steps = shares(traffic).get(canary.plan.version, 0.0), canary.plan.steps
    if percent != steps[canary.step] and percent in steps:
        return replace(moved, canary=replace(canary, step=steps.index(percent), since=event.time))
    return moved


def _before(earlier: tuple[Traffic, ...], after: Traffic) -> tuple[Traffic, ...]:
    """What is left to roll back to, once this one of the earlier ones is back."""
    place = next((place for place in range(len(earlier) - 1, -1, -1) if earlier[place] == after), len(earlier) - 1)
    return earlier[: max(place, 0)]


def _taken(event: Event) -> datetime:
    """When the log took it."""
    return event.recorded or event.time
