"""Logs as JSON lines and figures for Prometheus."""

import logging
import sys
from contextvars import ContextVar
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.runtime.settings import Settings

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


# Without the values of local variables: they may be personal, or keys
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
_PLAIN = structlog.dev.plain_traceback

request_state: ContextVar[dict[str, Any] | None] = ContextVar("request_state", default=None)
"""The state of the request in whose course this runs: `request_id`, and `actor` once known."""


def _of_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    state = request_state.get()
    if state is not None:
        event.update({name: state[name] for name in ("request_id", "actor") if name in state})
    return event


def configure_logs(settings: Settings) -> None:
    """Structured logs to stderr, one JSON object a line (or for people where `log_json` is off)."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _of_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if settings.log_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_PLAIN)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last], foreign_pre_chain=shared
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


class Gauges:
    """The figures of one process, in a registry of its own, so that several apps can live side by side."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        label = ["method", "route", "status"]
        self.requests = Counter("muniment_requests", "Requests answered", label, registry=self.registry)
        self.latency = Histogram(
            "muniment_request_seconds", "Time to answer", label[:2], registry=self.registry, buckets=_SECONDS
        )
        consumer = ["service", "consumer"]
        self.lag = Gauge("muniment_consumer_lag_records", "Records not yet applied", consumer, registry=self.registry)
        self.rate = Gauge(
            "muniment_catching_up_records_per_second", "Rate of a consumer far behind", consumer, registry=self.registry
        )
        self.seconds_left = Gauge(
            "muniment_catching_up_seconds_left",
            "Until a consumer far behind is there",
            consumer,
            registry=self.registry,
        )
        self.dead_letters = Gauge("muniment_dead_letters", "Dead letters waiting", consumer, registry=self.registry)
        self.relay_lag = Gauge(
            "muniment_relay_lag_events", "Own events not yet on the log", ["service"], registry=self.registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            counter = self.requests.labels(method, route, str(status))
            children = self._children[key] = (counter, self.latency.labels(method, route))
        children[0].inc()
        children[1].observe(seconds)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)
