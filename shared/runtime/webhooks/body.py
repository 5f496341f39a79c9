"""What receivers get of a fact, of whatever service: with its id, its time, and its place among those before and after.

Deliveries that are tried again come late: of two with one `subject`, that of the greater `sequence` happened later.
"""

from typing import Any

from shared.events.codec import rfc3339
from shared.events.envelope import Event


def body(kind: str, event: Event) -> dict[str, Any]:
    """The members of a delivery of this kind, such as `gate.changed`, ready for JSON."""
    return {
        "type": kind,
        "timestamp": rfc3339(event.time),
        "event_id": event.id,
        "subject": event.subject,
        "sequence": event.sequence,
        "actor": event.actor,
        "data": event.data.model_dump(mode="json"),
    }
