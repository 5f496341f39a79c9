"""Labels that experts corrected are outcomes: each batch of them is logged as one, under an id that follows from it.

So a batch that is taken again, after a kill or a rebuild, is known by its id and changes nothing.
"""

from collections.abc import Sequence
from uuid import UUID, uuid5

from shared.events.catalog import TOPIC_OUTCOMES
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.feedback import LabelsCorrected
from shared.events.monitor import OutcomeLogged
from shared.log.store import UnitOfWork
from shared.runtime.consumer import Consumer, Received
from shared.runtime.service import Service

CONSUMER = "monitor.labels"
TOPIC = "muniment.feedback"


def consumer(service: Service) -> Consumer:
    """Reads feedback's facts, and writes outcomes to the log."""

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        told = [
            outcome_of(item.event, service.name) for item in received if isinstance(item.event.data, LabelsCorrected)
        ]
        if told:
            await service.log.publish(TOPIC_OUTCOMES, [encode(event) for event in told])

    return Consumer(CONSUMER, (TOPIC,), service.log, service.store, handle, service.settings)


def outcome_of(corrected: Event, service: str) -> Event:
    """The outcomes of a batch of corrected labels, in the expert's name."""
    name = str(uuid5(UUID(corrected.id), "outcomes"))
    assert isinstance(corrected.data, LabelsCorrected)  # noqa: S101  the caller chose it
    return Event(
        name,
        f"/muniment/{service}",
        f"outcomes/{name}",
        corrected.time,
        0,
        corrected.actor,
        OutcomeLogged(rows=corrected.data.rows),
        corrected.id,
        corrected.correlationid,
        table=corrected.table,
    )
