"""What brings audit's views to where its consumer has got, for a check of them: the tree follows its checkpoints."""

from services.audit.worker import LEDGER
from services.audit.worker.sequencing import Sequencer
from services.audit.worker.signing import Signing
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic


def settles(service: Service) -> list[Periodic]:
    """The tree, without a signature of its own."""
    sequencer = Sequencer(service, LEDGER, Signing(service))
    return [Periodic("audit.tree", service.settings.checkpoint_seconds, sequencer.follow)]
