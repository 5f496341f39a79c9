"""Health by progress: measured once a second beside the requests, so that asking costs nothing and never hangs."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from shared.runtime.consumer import Consumer
from shared.runtime.observability import Gauges
from shared.runtime.relay import Relay
from shared.runtime.running import Running

logger = structlog.get_logger()

EVERY_SECONDS = 1.0
PROBE_SECONDS = 5.0

T = TypeVar("T")


@dataclass(slots=True)
class Health:
    """What was last measured. `problems` maps a part's name to why readiness fails; empty means ready."""

    parts: Sequence[Running]
    gauges: Gauges
    problems: dict[str, str] = field(default_factory=dict[str, str])
    lags: dict[str, int] = field(default_factory=dict[str, int])
    measured: bool = False

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            await self.measure()
            await asyncio.sleep(EVERY_SECONDS)

    async def measure(self) -> None:
        """Look at every part once."""
        found: dict[str, str] = {}
        for part in self.parts:
            try:
                await self._part(part, found)
            except Exception as error:  # a bug in measuring must show, not kill the watch
                logger.exception("health not measured", service=part.name)
                found[part.name] = f"could not be measured: {error!r}"
        if found != self.problems:
            logger.info("readiness changed", ready=not found, problems=found)
        self.problems, self.measured = found, True

    async def _part(self, part: Running, found: dict[str, str]) -> None:
        name, service = part.name, part.service
        store = await _probe(service.store.waiting_dead_letters(), found, f"{name}.store")
        if store is not None:
            self._dead_letters(part, store, found)
        topics = part.relay.topics if part.relay else (f"muniment.{name}",)
        log = await _probe(service.log.bounds(topics), found, f"{name}.log")
        if not part.works or store is None or log is None:
            return
        for consumer in part.consumers:
            await self._consumer(name, consumer, found)
        if part.relay is not None:
            await self._relay(part, part.relay, found)
        for periodic in part.periodic:
            if periodic.problem:
                found[periodic.name] = periodic.problem

    def _dead_letters(self, part: Running, waiting: dict[str, int], found: dict[str, str]) -> None:
        for consumer in part.consumers:
            self.gauges.dead_letters.labels(part.name, consumer.name).set(waiting.get(consumer.name, 0))
        total, limit = sum(waiting.values()), part.service.settings.max_dead_letters
        if total > limit:
            found[f"{part.name}.dead-letters"] = f"{total} dead letters wait, more than {limit}"

    async def _consumer(self, service: str, consumer: Consumer, found: dict[str, str]) -> None:
        lag = await _probe(consumer.lag(), found, consumer.name)
        if lag is None:
            return
        self.lags[consumer.name] = lag
        self.gauges.lag.labels(service, consumer.name).set(lag)
        reason = consumer.stuck(lag)
        if reason:
            found[consumer.name] = reason

    async def _relay(self, part: Running, relay: Relay, found: dict[str, str]) -> None:
        if relay.problem:
            found[f"{part.name}.relay"] = relay.problem
        lag = await _probe(part.service.store.relay_lag(relay.topics), found, f"{part.name}.relay")
        if lag is not None:
            self.gauges.relay_lag.labels(part.name).set(lag)


async def _probe(work: Awaitable[T], found: dict[str, str], name: str) -> T | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):  # wait_for may swallow a cancellation before Python 3.12
            return await work
    except TimeoutError:
        found[name] = f"no answer within {PROBE_SECONDS:g} s"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"
    return None
