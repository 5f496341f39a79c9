"""Every event type by name, with its owner, its topic and the upcasters of its older versions."""

from collections.abc import Callable
from typing import Any

from shared.events import audit, deployer, every, feedback, monitor, registry
from shared.events.envelope import BatchPayload, Payload

SERVICES = ("registry", "deployer", "monitor", "feedback", "audit")

TOPIC_PREDICTIONS = "muniment.predictions"
TOPIC_OUTCOMES = "muniment.outcomes"
TOPIC_JOINED = "muniment.joined"
DATA_TOPICS = (TOPIC_PREDICTIONS, TOPIC_OUTCOMES, TOPIC_JOINED)
CONTROL_TOPICS = tuple(f"muniment.{service}" for service in SERVICES)
TOPICS = CONTROL_TOPICS + DATA_TOPICS

_BATCH_TOPICS = {"PredictionLogged": TOPIC_PREDICTIONS, "OutcomeLogged": TOPIC_OUTCOMES, "OutcomesJoined": TOPIC_JOINED}

TYPES: dict[str, type[Payload]] = {
    cls.__name__: cls
    for module in (registry, deployer, monitor, feedback, audit, every)
    for cls in vars(module).values()
    if isinstance(cls, type)
    and issubclass(cls, Payload)
    and cls not in (Payload, BatchPayload)
    and not cls.__name__.endswith("Payload")
}

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, version) → pure function from that version's data to the next version's. Empty until a type changes."""


def topic_of(payload: Payload) -> str:
    """The topic on which a fact travels: its owner's, or a data topic of its own for batches."""
    if isinstance(payload, every.ViewsVerified):
        return f"muniment.{payload.service}"
    return _BATCH_TOPICS.get(type(payload).__name__, f"muniment.{payload.OWNER}")


def topics_of(cls: type[Payload]) -> tuple[str, ...]:
    """The topics on which facts of this type may travel."""
    return CONTROL_TOPICS if cls.OWNER == every.EVERY else (topic_of(cls.model_construct()),)


def upcast(type_name: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Lift data of an older version, step by step, to the newest. Raises KeyError where a step is missing."""
    for step in range(version, TYPES[type_name].VERSION):
        data = UPCASTERS[type_name, step](data)
    return data
