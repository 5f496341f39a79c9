"""One service at work: its relay, consumers and periodic jobs, started and stopped together, whatever the ports are."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from shared.events.catalog import TOPIC_JOINED
from shared.runtime.checking import Checks, Scratch
from shared.runtime.consumer import Consumer
from shared.runtime.relay import Relay
from shared.runtime.service import Definition, Service
from shared.runtime.tasks import Periodic

logger = structlog.get_logger()

STOP_SECONDS = 5.0
VIEWS_LOOK_SECONDS = 60.0
"""How often it is looked whether a check of the views is due."""

Transport = Callable[[Consumer], Coroutine[Any, Any, None]]
"""Runs a consumer until it is cancelled: its own loop, or a Faust agent that drives it."""


def relayed_topics(service: str) -> tuple[str, ...]:
    """The topics to which a service's own events go through its outbox."""
    own = f"muniment.{service}"
    return (own, TOPIC_JOINED) if service == "monitor" else (own,)


class Running:
    """The parts of one service in this process. `works`: whether this process relays and consumes for it (a worker).

    `relays=False`: the log reads the service's outbox itself (embedded on PostgreSQL), so that no relay runs.
    `scratch`: where views are checked by schedule; None: they are not.
    An API alone keeps the consumers too, idle, for the replay of their dead letters.
    """

    def __init__(
        self,
        definition: Definition,
        service: Service,
        works: bool = True,
        relays: bool = True,
        transport: Transport = Consumer.run,
        scratch: Scratch | None = None,
    ) -> None:
        self.definition, self.service, self.works, self._transport = definition, service, works, transport
        self.consumers: list[Consumer] = definition.consumers(service)
        self.periodic = definition.periodic(service) if works else []
        if works and scratch is not None and service.settings.views_check_seconds > 0:
            checks = Checks(definition, service, scratch)
            self.periodic = [*self.periodic, Periodic(f"{definition.name}.views", VIEWS_LOOK_SECONDS, checks.run)]
        topics = relayed_topics(definition.name)
        gather = service.settings.relay_gather_seconds
        self.relay = Relay(service.store, service.log, topics, gather_seconds=gather) if works and relays else None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        return self.definition.name

    async def start(self) -> None:
        """Start the parts as tasks; each runs until `stop`."""
        for begin in self.service.on_start:
            begin()
        if not self.works:
            return
        if self.relay is not None:
            self._spawn("relay", self.relay.run())
        for consumer in self.consumers:
            self._spawn(consumer.name, self._transport(consumer))
        for periodic in self.periodic:
            self._spawn(periodic.name, periodic.run())

    async def failed(self) -> str:
        """Wait until a part ends by itself, which it never should, and tell which and why."""
        if not self._tasks:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        task = done.pop()
        reason = "cancelled" if task.cancelled() else repr(task.exception() or "returned")
        return f"{self.name}: {task.get_name()} ended: {reason}"

    async def stop(self) -> None:
        """Stop the parts, let writers flush, and publish what the outbox still holds. A part's open unit of work is
        undone; whoever goes on later begins it again."""
        self.service.closing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for close in self.service.on_close:
            await self._within(f"close {close!r}", close())
        if self.relay is not None:
            await self._within("last relay", self._relay_rest(self.relay))

    async def _relay_rest(self, relay: Relay) -> None:
        async with self.service.store.relaying():
            await relay.once()

    async def _within(self, what: str, work: Any) -> None:
        try:
            await asyncio.wait_for(work, STOP_SECONDS)
        except Exception as error:  # stopping goes on; what was acknowledged is in store or log already
            logger.warning("not closed cleanly", service=self.name, what=what, error=repr(error))

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))
