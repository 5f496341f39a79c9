"""What is on record as forgotten is forgotten, whatever became of the process that was asked to.

A token names one key for ever, so that a replay of the log destroys nothing that was made since.
"""

from collections.abc import Sequence

from shared.events.monitor import SubjectForgotten
from shared.log.store import UnitOfWork
from shared.runtime.applying import Handler
from shared.runtime.consumer import Consumer, Received
from shared.runtime.service import Service

CONSUMER = "monitor.forgetting"
OWN = "muniment.monitor"


def consumer(service: Service) -> Consumer:
    """`monitor.forgetting`, which fills no view."""
    return Consumer(CONSUMER, (OWN,), service.log, service.store, handler(service), service.settings, marks=False)


def handler(service: Service) -> Handler:
    """Destroy the keys of the tokens that were forgotten."""

    async def handle(_: UnitOfWork, received: Sequence[Received]) -> None:
        for item in received:
            if isinstance(item.event.data, SubjectForgotten):
                await service.keyring.destroy(item.event.data.subject)

    return handle
