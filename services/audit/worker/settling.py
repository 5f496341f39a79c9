"""What brings audit's views to where its consumer has got, for a check of them: the tree follows its checkpoints, and
what is on record as archived leaves the ledger."""

from services.audit.worker import LEDGER
from services.audit.worker.archiving import Archiver
from services.audit.worker.sequencing import Sequencer
from services.audit.worker.signing import Signing
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic


def settles(service: Service) -> list[Periodic]:
    """The tree, without a signature of its own; then the cold parts, whose files only the live ledger needs."""
    sequencer = Sequencer(service, LEDGER, Signing(service))
    archiver = Archiver(service, LEDGER, reads_back=False)
    return [
        Periodic("audit.tree", service.settings.checkpoint_seconds, sequencer.follow),
        Periodic("audit.parts", service.settings.ledger_archive_seconds, archiver.follow),
    ]
