"""A deployment as its events tell it."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.deployer.domain.routing import arrange
from shared.events.deployer import Deployed, Promoted, Resources, Retired, RolledBack, Runtime, Traffic, TrafficChanged
from shared.events.envelope import Event

MAX_EARLIER = 100
"""How many steps can be rolled back; older ones stay in the history only."""


@dataclass(frozen=True, slots=True)
class State:
    """`version`: as first deployed. `earlier`: what a rollback returns to, newest last. `buckets`: who answers which
    bucket of keys, see `routing.arrange`."""

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
            )
        case TrafficChanged() | Promoted() as fact:
            return replace(_moved(state, fact.after), earlier=(*state.earlier, fact.before)[-MAX_EARLIER:])
        case RolledBack() as fact:
            return replace(_moved(state, fact.after), earlier=state.earlier[:-1])
        case Retired():
            return replace(state, retired=True)
        case _:
            return state


def _moved(state: State, traffic: Traffic) -> State:
    return replace(state, traffic=traffic, buckets=arrange(state.buckets, traffic))
