"""Writes every event of every topic into the ledger and the graph, and runs the verifications that were asked for."""

from collections.abc import Sequence

from services.audit.parts.store import with_parts
from services.audit.projection import FOLDED, Folded, fold, inserts
from services.audit.reports.press import Press
from services.audit.worker.archiving import Archiver
from services.audit.worker.publishing import Publisher
from services.audit.worker.reports import Issuer
from services.audit.worker.sequencing import Sequencer
from services.audit.worker.signing import Signing
from services.audit.worker.verifications import Verifier
from shared.events.catalog import TOPICS
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Where, enough
from shared.runtime.consumer import Consumer, Received
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

LEDGER = "audit.ledger"


def consumers(service: Service) -> list[Consumer]:
    """One consumer over all topics."""
    views = tuple(table.name for table in FOLDED)
    ports = (service.log, service.store)
    return [Consumer(LEDGER, TOPICS, *ports, record_all, service.settings, together=True, fold=fold, loads=views)]


def periodic(service: Service) -> list[Periodic]:
    """Looks once a second for a verification to run, and now and then for a report that is due; runs of all processes
    exclude one another in the store."""
    reading = with_parts(service)
    verifier = Verifier(reading, LEDGER)
    issuer = Issuer(reading, Press(reading))
    sequencer = Sequencer(service, LEDGER, Signing(service))
    return [
        Periodic("audit.tree", service.settings.checkpoint_seconds, sequencer.run),
        Periodic("audit.publishing", service.settings.publish_seconds, Publisher(reading).run),
        Periodic("audit.parts", service.settings.ledger_archive_seconds, Archiver(reading, LEDGER).run),
        Periodic("audit.schedule", 60.0, verifier.ask_when_due),
        Periodic("audit.verifications", 1.0, verifier.run_waiting),
        Periodic("audit.reports", service.settings.report_check_seconds, issuer.run),
    ]


async def record_all(unit: UnitOfWork, received: Sequence[Received]) -> None:
    """Enter each event once: what was sent to the log again (a retry after a lost answer) bears the same id, and the
    first of them stays. Of events in streams the consumer itself keeps that, by their sequence."""
    direct = [item.event.id for item in received if not item.event.sequence]
    known: set[str] = set()
    if direct:
        query = Query("ledger", (Where("event_id", "in", direct),), limit=enough(len(direct)), columns=("event_id",))
        known = {row["event_id"] for row in await unit.find(query)}
    folded: list[Folded] = []
    for item in received:
        if not item.event.sequence:
            if item.event.id in known:
                continue
            known.add(item.event.id)
        folded.append(item.folded or fold(item.event, item.record))
    if folded:
        await unit.apply(inserts(folded))
