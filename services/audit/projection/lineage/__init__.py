"""The lineage graph: what an event says about which thing, and how things hang together; a file per owner of events."""

from collections.abc import Iterable

from services.audit.projection.lineage import audit, deployer, feedback, monitor, registry
from services.audit.projection.lineage.edges import Edge, Said, Says
from shared.events.envelope import Event, Payload

__all__ = ["Edge", "Said", "said", "unknown"]

_SAYS: Says = {**registry.SAYS, **deployer.SAYS, **monitor.SAYS, **feedback.SAYS, **audit.SAYS}


def said(event: Event) -> Said:
    """What an event says. Pure; raises KeyError for a type that has no line here."""
    return _SAYS[type(event.data)](event, event.data)


def unknown(types: Iterable[type[Payload]]) -> list[str]:
    """Types of the language that the graph does not know; a test holds this empty."""
    return [cls.__name__ for cls in types if cls not in _SAYS]
