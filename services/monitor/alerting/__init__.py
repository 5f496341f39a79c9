"""Alerts at work: `observing` windows into alerts and alerts into deliveries · `messages` what a receiver gets ·
`figures` for Prometheus. Deliveries are sent by `shared.runtime.webhooks`.
"""

from services.monitor.alerting.figures import Figures
from services.monitor.alerting.observing import CONSUMER, Observing
from services.monitor.alerting.qualities import tolerance_of
from shared.runtime.consumer import Consumer
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic
from shared.runtime.webhooks.delivering import Delivering, Outbox
from shared.runtime.webhooks.signing import Signing

OUTBOX = Outbox("alert_routes", "alert_deliveries", "monitor.delivery")
TOPICS = ("muniment.monitor", "muniment.deployer")


def consumer(service: Service) -> Consumer:
    """`monitor.alerts`: what the monitor states, into alerts and into what is to be delivered; and what is retired."""
    tolerance_of(service.settings)  # a bound that nothing will ever break is told at the start
    handle = Observing(service).handle
    return Consumer(CONSUMER, TOPICS, service.log, service.store, handle, service.settings, marks=False)


def periodic(service: Service) -> list[Periodic]:
    """Delivering, and figures for `/metrics`."""
    settings = service.settings
    delivering = Delivering(service.store, settings, Signing.of(settings), OUTBOX)
    service.on_close.append(delivering.close)
    figures = Figures(service.store, settings.metrics_max_series)
    service.collectors["alerts"] = figures
    return [
        Periodic("monitor.deliver", settings.alert_deliver_seconds, delivering.run),
        Periodic("monitor.figures", settings.metrics_seconds, figures.run),
    ]
