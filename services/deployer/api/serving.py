"""What the endpoints of one process share."""

from dataclasses import dataclass

from services.deployer.serving.figures import Figures
from services.deployer.serving.gateway import Gateway
from services.deployer.serving.journal import Journal
from services.deployer.serving.routes import RouteTable
from services.deployer.serving.runtimes import Runtimes
from services.deployer.serving.shadows import Shadows
from services.deployer.serving.tally import Tally
from services.deployer.serving.versions import Versions
from shared.runtime.predictions import PredictionWriter
from shared.runtime.service import Service


@dataclass(slots=True)
class Serving:
    """Routes, runtimes and what stands behind them."""

    routes: RouteTable
    runtimes: Runtimes
    shadows: Shadows
    gateway: Gateway

    @classmethod
    def of(cls, service: Service) -> "Serving":
        """The serving of a process; it ends with the service, the log's writer last."""
        runtimes = Runtimes(service.settings)
        writer = PredictionWriter(service.name, service.log, service.settings, service.keyring)
        shadows = Shadows(service.settings, runtimes, writer)
        journal = Journal(service.settings, writer, Tally(service.settings.data_dir))
        service.on_close += [shadows.close, runtimes.close, journal.close, writer.close]
        service.flushes.append(journal.idle)
        service.collectors["answers"] = Figures(journal)
        gateway = Gateway(service.settings, runtimes, writer, journal, shadows, Versions(runtimes))
        return cls(RouteTable(service, runtimes.warm), runtimes, shadows, gateway)
