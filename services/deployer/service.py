"""The rooms of the deployer, for whoever wires it."""

from services.deployer.api import router
from services.deployer.projection import TABLES
from services.deployer.reacting import CONSUMER
from services.deployer.worker import consumers, periodic
from shared.runtime.service import Definition

DEFINITION = Definition("deployer", TABLES, router, consumers, periodic, work=(CONSUMER,))
