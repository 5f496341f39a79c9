"""The archive: every prediction in compressed columns, found by its id, exported by any slice, kept as long as wanted.

`files` where blocks lie · `blocks` batches into a block's bytes and back · `writing` the log's batches in ·
`packing` young ones into blocks · `reading` one prediction, or all of a slice · `sweeping` what is no longer wanted.
"""

from services.monitor.archive.files import Files
from services.monitor.archive.packing import Packing
from services.monitor.archive.sweeping import Sweeping
from services.monitor.archive.writing import CONSUMER, Writing
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.runtime.consumer import Consumer
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic


def consumer(service: Service) -> Consumer:
    """`monitor.archive`: predictions into the archive, at a pace of its own."""
    handle = Writing(Files.of(service.settings), service.settings).handle
    topics = (TOPIC_PREDICTIONS,)
    return Consumer(CONSUMER, topics, service.log, service.store, handle, service.settings, marks=False)


def periodic(service: Service) -> list[Periodic]:
    """Packing, and sweeping."""
    files, settings = Files.of(service.settings), service.settings
    return [
        Periodic("monitor.archive.pack", settings.archive_pack_seconds, Packing(service.store, files, settings).run),
        Periodic("monitor.archive.sweep", settings.archive_sweep_seconds, Sweeping(service, files).run),
    ]
