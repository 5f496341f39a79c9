"""Events in: the views of what runs where and of what the registry said about it; and what follows from what others
state. Beside it canaries take their steps."""

from services.deployer import reacting
from services.deployer.canaries import Canaries
from services.deployer.projection import project
from shared.runtime.applying import projecting
from shared.runtime.consumer import Consumer
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

TOPICS = ("muniment.deployer", "muniment.registry")


def consumers(service: Service) -> list[Consumer]:
    """`deployer.views` folds two topics into the views; `deployer.reactions` reacts to two others."""
    handle = projecting(project)
    views = Consumer("deployer.views", TOPICS, service.log, service.store, handle, service.settings, together=True)
    return [views, reacting.consumer(service)]


def periodic(service: Service) -> list[Periodic]:
    """The steps of canaries."""
    return [Periodic("deployer.canaries", service.settings.canary_seconds, Canaries(service).run)]
