"""Events in: the views of what runs where, and of what the registry said about it."""

from services.deployer.projection import project
from shared.runtime.consumer import Consumer, projecting
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

TOPICS = ("muniment.deployer", "muniment.registry")


def consumers(service: Service) -> list[Consumer]:
    """One consumer folds both topics into the views."""
    handle = projecting(project)
    return [Consumer("deployer.views", TOPICS, service.log, service.store, handle, service.settings, together=True)]


def periodic(service: Service) -> list[Periodic]:
    """Nothing runs beside the consumer."""
    return []
