"""The rooms of the monitor, for whoever wires it."""

from services.monitor import archive
from services.monitor.api import router
from services.monitor.projection import TABLES
from services.monitor.worker import consumers, forgetting, labels, periodic
from services.monitor.worker.measuring import CONSUMER
from services.monitor.worker.settling import MERGING, settles
from shared.runtime.service import Definition

DEFINITION = Definition(
    "monitor",
    TABLES,
    router,
    consumers,
    periodic,
    agents=(CONSUMER,),
    work=(archive.CONSUMER, forgetting.CONSUMER, labels.CONSUMER),
    settles=settles,
    merging=MERGING,
)
