"""Health by progress: measured once a second beside the requests, so that asking costs nothing and never hangs."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any, TypeVar

import structlog

from shared.runtime.consumer import FILLED, Consumer
from shared.runtime.observability import Gauges
from shared.runtime.progress import Progress
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
    progress: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    """Of consumers that are more than `consumer_load_lag` behind, as in a rebuild: how far, how fast, how long yet."""

    _measured: dict[str, Progress] = field(default_factory=dict[str, Progress])
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
        await self._progress(service, consumer, lag, found)
        reason = consumer.stuck(lag)
        if reason and consumer.share is None and await _probe(consumer.store.is_filled(), found, consumer.name):
            reason = f"{consumer.name}, {lag} records behind: {FILLED}"  # it may not have noticed, if nothing comes
        if reason:
            found[consumer.name] = reason

    async def _progress(self, service: str, consumer: Consumer, lag: int, found: dict[str, str]) -> None:
        """Tell of a consumer that catches up, until it has."""
        known = self.progress.get(consumer.name)
        if lag <= (0 if known else consumer.settings.consumer_load_lag):
            self.progress.pop(consumer.name, None)
            self._measured.pop(consumer.name, None)
            if known:
                self.gauges.seconds_left.labels(service, consumer.name).set(0)
            return
        bounds = await _probe(consumer.log.bounds(consumer.topics), found, consumer.name)
        if bounds is None:
            return
        end = sum(bound.end for bound in bounds.values())
        told = self._measured.setdefault(consumer.name, Progress()).measured(monotonic(), max(0, end - lag), end)
        self.progress[consumer.name] = told.as_dict
        labels = (service, consumer.name)
        self.gauges.rate.labels(*labels).set(told.per_second)
        self.gauges.seconds_left.labels(*labels).set(told.seconds_left if told.seconds_left is not None else inf)

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
