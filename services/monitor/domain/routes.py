"""Who is told of alerts. One stream per route."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.events.envelope import Event, Payload
from shared.events.monitor import AlertKind, AlertRouteAdded, AlertRouteRemoved
from shared.events.refusal import Refused


@dataclass(frozen=True, slots=True)
class Add:
    """Command: tell this address. `host` for people to see, `sealed` for the deliverer alone; empty lists: all."""

    route: str
    name: str
    format: Literal["webhook", "slack"]
    host: str
    sealed: str
    deployments: tuple[str, ...]
    kinds: tuple[AlertKind, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """Command: tell it no longer."""

    route: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    there: bool = False


initial = State()


def decide(state: State, command: Add | Remove) -> Sequence[Payload]:
    """Raises Refused where there is nothing to remove."""
    match command:
        case Add() as add:
            return [
                AlertRouteAdded(
                    route=add.route,
                    name=add.name,
                    format=add.format,
                    host=add.host,
                    sealed=add.sealed,
                    deployments=add.deployments,
                    kinds=add.kinds,
                )
            ]
        case Remove(route=route, reason=reason):
            if not state.there:
                raise Refused("unknown-alert-route", f"There is no alert route '{route}'.", status=404)
            return [AlertRouteRemoved(route=route, reason=reason)]


def evolve(state: State, event: Event) -> State:
    return State(isinstance(event.data, AlertRouteAdded))
