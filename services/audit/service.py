"""The rooms of audit, for whoever wires it."""

from services.audit.api import router
from services.audit.projection import TABLES
from services.audit.worker import consumers, periodic
from services.audit.worker.settling import settles
from shared.runtime.service import Definition

DEFINITION = Definition("audit", TABLES, router, consumers, periodic, settles=settles)
