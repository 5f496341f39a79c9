"""What the monitor does with the log: it folds facts, predictions and outcomes, and measures what is closed."""

from collections.abc import Sequence

from services.monitor import alerting, archive
from services.monitor.facts import Facts
from services.monitor.projection import project
from services.monitor.worker import forgetting, labels
from services.monitor.worker.compiling import Compiling
from services.monitor.worker.experimenting import Experimenting
from services.monitor.worker.joining import source_lock
from services.monitor.worker.measuring import CONSUMER, Measuring
from services.monitor.worker.outcomes import Outcomes
from services.monitor.worker.predictions import Predictions
from services.monitor.worker.silence import Silence
from services.monitor.worker.sweeping import Sweeping
from services.monitor.worker.tables import Tables
from services.monitor.worker.telling import tell
from shared.events.catalog import TOPIC_OUTCOMES, TOPIC_PREDICTIONS
from shared.events.monitor import PredictionLogged
from shared.log.store import UnitOfWork
from shared.runtime.applying import Handler
from shared.runtime.consumer import Consumer, Received
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

FACTS = "monitor.facts"
OWN = "muniment.monitor"
DATA = (TOPIC_PREDICTIONS, TOPIC_OUTCOMES)

AT_ONCE = 3
"""Partitions folded at the same time: one in each stage of reading, folding and writing, and few connections."""
CONTROL = ("muniment.registry", "muniment.deployer", OWN)


def consumers(service: Service) -> list[Consumer]:
    """`monitor.facts` for what others state, `monitor.predictions` for predictions and their outcomes, and
    `monitor.archive` for keeping predictions, `monitor.alerts` for alerts, `monitor.forgetting` for keys to destroy,
    `monitor.labels` for labels that experts corrected."""
    log, store, settings = service.log, service.store, service.settings
    return [
        Consumer(FACTS, CONTROL, log, store, facts_handler(service), settings),
        Consumer(CONSUMER, DATA, log, store, data_handler(service), settings, at_once=AT_ONCE),
        archive.consumer(service),
        alerting.consumer(service),
        forgetting.consumer(service),
        labels.consumer(service),
    ]


def periodic(service: Service) -> list[Periodic]:
    """Measuring closed windows, looking for outcomes that wait and for silence, judging
    experiments, and keeping the archive in order."""
    seconds = service.settings.window_measure_seconds
    silence = Silence(service)
    sweeping = Sweeping(service.store, Tables(service.log), service.settings, service.live)
    return [
        Periodic("monitor.measure", seconds, Measuring(service, Facts()).run),
        Periodic("monitor.sweep", seconds, sweeping.run),
        Periodic("monitor.silence", silence.seconds, silence.run),
        Periodic("monitor.experiments", service.settings.experiment_seconds, Experimenting.of(service).run),
        *archive.periodic(service),
        *alerting.periodic(service),
    ]


def facts_handler(service: Service) -> Handler:
    """Fold control facts into the views, and pass on what the monitor itself stated."""

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        await unit.apply([change for item in received for change in project(item.event)])
        await tell(service.live, [item.event for item in received if item.record.topic == OWN])

    return handle


def data_handler(service: Service) -> Handler:
    """Fold predictions and join outcomes. What it gets is of one partition; its effect is that unit's alone. Outcomes
    that met their predictions are passed on to listeners."""
    compiling = Compiling.of(service.settings)
    compiling.folded()
    tables = Tables(service.log)
    facts = Facts()
    predictions = Predictions(facts, tables, service.settings)
    outcomes = Outcomes(facts, tables, service.settings)

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        place = received[0].record.place
        await unit.lock([source_lock(place)])
        fold = predictions if place.topic == TOPIC_PREDICTIONS else outcomes
        await tell(service.live, await fold.handle(unit, received))
        compiling.folded(
            sum(item.event.data.rows for item in received if isinstance(item.event.data, PredictionLogged))
        )

    return handle
