"""A deployment that stopped being called, and one that is called again. One stream per deployment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.events.envelope import Event, Payload
from shared.events.monitor import DeploymentHeard, DeploymentSilent


@dataclass(frozen=True, slots=True)
class Listen:
    """Command: the last prediction of the deployment was recorded at `heard`; it is `at` now."""

    deployment: str
    model: str
    version: int
    heard: datetime
    at: datetime
    seconds: float

    @property
    def subject(self) -> str:
        return f"silence/{self.deployment}"

    @property
    def silent(self) -> bool:
        """Whether nothing came for so long."""
        return self.at - self.heard >= timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class State:
    """Since when the deployment is said to be silent; None: it is not."""

    since: datetime | None = None


initial = State()


def decide(state: State, command: Listen) -> Sequence[Payload]:
    """Silence is stated once, until a prediction came after the last one that was heard before it."""
    if state.since is None:
        if not command.silent:
            return []
        return [
            DeploymentSilent(
                deployment=command.deployment,
                model=command.model,
                version=command.version,
                last_heard=command.heard,
                seconds=command.seconds,
            )
        ]
    if command.heard <= state.since:
        return []
    return [
        DeploymentHeard(
            deployment=command.deployment,
            model=command.model,
            version=command.version,
            silent_since=state.since,
            heard=command.heard,
        )
    ]


def evolve(state: State, event: Event) -> State:
    match event.data:
        case DeploymentSilent(last_heard=heard):
            return replace(state, since=heard)
        case DeploymentHeard():
            return initial
        case _:
            return state
