"""The rooms of the registry, for whoever wires it."""

from services.registry import deriving
from services.registry.api import router
from services.registry.projection import TABLES
from services.registry.worker import consumers, periodic
from shared.runtime.service import Definition

DEFINITION = Definition("registry", TABLES, router, consumers, periodic, work=(deriving.NAME,))
