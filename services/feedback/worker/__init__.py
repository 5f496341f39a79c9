"""What feedback does with the log: it folds flags and predictions, and does what takes long step by step."""

from collections.abc import Sequence

from services.feedback.worker.bulks import Bulks
from services.feedback.worker.folding import TOPIC, VIEWS, Folding
from services.feedback.worker.lapsing import Lapsing
from services.feedback.worker.notices import tell
from services.feedback.worker.places import logged
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Row
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

TOPICS = (TOPIC, TOPIC_PREDICTIONS)


def consumers(service: Service) -> list[Consumer]:
    """One consumer: a flag and its prediction meet in the same views, whichever comes first."""

    behind, told = True, list[Row]()

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        nonlocal behind, told
        folding, behind = Folding(service, unit, behind), True  # what fails is done again
        try:
            await folding.handle(received)
        except Conflict as error:
            raise NotYet(f"somebody else writes to the same flag: {error}") from error
        behind, told = folding.behind, folding.told

    async def applied() -> None:
        nonlocal told
        notices, told = told, []
        await tell(service.live, notices)  # from here on a listener who looks back finds them, too

    ports = (service.log, service.store)
    return [Consumer(VIEWS, TOPICS, *ports, handle, service.settings, together=True, fold=logged, applied=applied)]


def periodic(service: Service) -> list[Periodic]:
    """Bulks, and flags that wait for predictions which do not come."""
    return [
        Periodic("feedback.bulks", service.settings.bulk_seconds, Bulks(service).run),
        Periodic("feedback.lapsing", 5.0, Lapsing(service).run),
    ]
