"""Goals: the business question that models answer, and the decision that rests on the answer. Stream `goal/{name}`."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.registry.domain.frozen import register_once
from services.registry.domain.names import check_name
from shared.events.envelope import Event, Payload
from shared.events.registry import GoalStated

initial: GoalStated | None = None


@dataclass(frozen=True, slots=True)
class StateGoal:
    goal: GoalStated


def decide(state: GoalStated | None, command: StateGoal) -> Sequence[Payload]:
    """GoalStated once. Raises Refused: bad name, registered otherwise."""
    check_name("goal", command.goal.goal)
    return register_once(state, command.goal, "goal", command.goal.goal)


def evolve(state: GoalStated | None, event: Event) -> GoalStated | None:
    return event.data if isinstance(event.data, GoalStated) else state
