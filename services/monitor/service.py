"""The rooms of the monitor, for whoever wires it."""

from services.monitor.api import router
from services.monitor.projection import TABLES
from services.monitor.worker import consumers, periodic
from services.monitor.worker.measuring import CONSUMER
from shared.runtime.service import Definition

DEFINITION = Definition("monitor", TABLES, router, consumers, periodic, agents=(CONSUMER,))
