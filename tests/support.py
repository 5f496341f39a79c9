"""Services over the adapters in memory, for component tests: `async with running(DEFINITION) as system`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from shared.keyring.memory import MemoryKeyring
from shared.log.log import LogUnavailable
from shared.log.memory import MemoryLog, MemoryStore
from shared.log.records import Bounds, TopicPartition
from shared.log.store import Fenced, StoreUnavailable
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.consumer import Consumer, NotYet
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running
from shared.runtime.service import Definition, Service
from shared.runtime.settings import Settings

MAX_ROUNDS = 100
DEFAULTS = Settings()
"""Read once: looking through the environment takes longer than most tests."""


@dataclass(slots=True)
class System:
    """Some services in one process. Nothing moves between them but by `settle`."""

    app: FastAPI
    client: AsyncClient
    log: MemoryLog
    live: MemoryLive
    settings: Settings
    parts: dict[str, Running]

    @property
    def stores(self) -> dict[str, MemoryStore]:
        return {name: part.service.store for name, part in self.parts.items()}  # type: ignore[misc]

    @property
    def services(self) -> dict[str, Service]:
        return {name: part.service for name, part in self.parts.items()}

    def consumer(self, name: str) -> Consumer:
        return next(one for part in self.parts.values() for one in part.consumers if one.name == name)

    async def settle(self) -> None:
        """Relay, consume and run the periodic jobs, again and again, until nothing moves any more.

        What is not yet possible (NotYet) stays; raises AssertionError where it never gets quiet.
        """
        for flush in (one for part in self.parts.values() for one in part.service.flushes):
            await flush()
        for _ in range(MAX_ROUNDS):
            before = await self._places()
            for part in self.parts.values():
                assert part.relay is not None
                await part.relay.once()
            for part in self.parts.values():
                for consumer in part.consumers:
                    await drain(consumer, self.settings)
            for part in self.parts.values():
                for periodic in part.periodic:
                    await periodic.job()
            if await self._places() == before:
                return
        raise AssertionError(f"not quiet after {MAX_ROUNDS} rounds: {await self._places()}")

    async def lag(self) -> dict[str, int]:
        return {one.name: await one.lag() for part in self.parts.values() for one in part.consumers}

    async def _places(self) -> dict[Any, Any]:
        """How far everything is: outboxes, the log's ends, the consumers' offsets."""
        places: dict[Any, Any] = {}
        for name, part in self.parts.items():
            assert part.relay is not None
            places[name, "outbox"] = await part.service.store.relay_lag(part.relay.topics)
            places[name, "offsets"] = await part.service.store.offsets()
            topics = {topic for consumer in part.consumers for topic in consumer.topics} | set(part.relay.topics)
            places[name, "log"] = await self.log.bounds(sorted(topics))
        return places


async def drain(consumer: Consumer, settings: Settings) -> None:
    """Let a consumer apply all that it can of what the log holds now."""
    bounds: dict[TopicPartition, Bounds] = await consumer.log.bounds(consumer.topics)
    for place, bound in bounds.items():
        try:
            while (offset := await _offset(consumer, place)) < bound.end:
                records = await consumer.log.read(place, offset, settings.consumer_max_records)
                await consumer.catch_up(place, records)
        except (NotYet, Fenced, StoreUnavailable, LogUnavailable):
            consumer.forget(place)


async def _offset(consumer: Consumer, place: TopicPartition) -> int:
    return (await consumer.store.offsets()).get((consumer.name, place), 0)


@asynccontextmanager
async def running(
    *definitions: Definition,
    partitions: int = 1,
    settings: Settings | None = None,
    actor: str = "ada",
    live: Any = None,
    **changed: Any,
) -> AsyncIterator[System]:
    """The services of these definitions on memory adapters. `changed`: settings by name; `live`: another fan-out.

    The client counts as loopback and acts as `actor` unless a request sends its own X-Actor (and X-Roles).
    """
    with TemporaryDirectory() as folder:
        settings = (settings or DEFAULTS.model_copy(update={"data_dir": Path(folder)})).model_copy(update=changed)
        log, live, keyring = MemoryLog(partitions), live or MemoryLive(), MemoryKeyring()
        parts = {one.name: Running(one, _service(one, settings, log, live, keyring)) for one in definitions}
        app = create_app("Muniment under test", list(parts.values()), settings)
        transport = ASGITransport(app, client=("127.0.0.1", 50000))
        async with AsyncClient(transport=transport, base_url="http://test", headers={"X-Actor": actor}) as client:
            yield System(app, client, log, live, settings, parts)
        for part in parts.values():
            await part.stop()


def _service(
    definition: Definition, settings: Settings, log: MemoryLog, live: MemoryLive, keyring: MemoryKeyring
) -> Service:
    store = MemoryStore(definition.name, definition.tables)
    return Service(definition.name, settings, store, log, live, CommandLoop(definition.name, store), keyring)
