"""The embedded system: one data folder, one process, one port, five services."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

import uvloop

from console.app import routes
from console.speaking import Speaker
from muniment.embedded.folder import CannotStart, DataFolder, open_folder
from muniment.embedded.postgres import Postgres
from muniment.embedded.valkey import Valkey
from shared.events.catalog import SERVICES
from shared.keyring.postgres import PostgresKeyring
from shared.log.log import LogUnavailable
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_scratch import scratch_store
from shared.log.postgres_store import PostgresStore
from shared.log.store import StoreUnavailable
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.identity import Identity
from shared.runtime.observability import configure_logs
from shared.runtime.running import Running, relayed_topics
from shared.runtime.service import Definition, Service
from shared.runtime.serving import CannotServe, listen, serve
from shared.runtime.settings import Settings
from shared.runtime.valkey import ValkeyLive


def run(data_dir: Path, host: str, port: int) -> int:
    """Bring everything up and serve until SIGINT or SIGTERM; returns the exit code. Raises CannotStart, BadSetting."""
    settings = Settings.read(data_dir=data_dir, host=host, port=port)
    configure_logs(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings))
    except (CannotServe, StoreUnavailable, LogUnavailable) as error:
        raise CannotStart(str(error)) from error


async def _serve(settings: Settings) -> int:
    if settings.port:
        listen(settings).close()  # a port in use is told before anything is set up
    async with system(settings, definitions()) as parts:
        app = create_app("Muniment", parts, settings)
        app.router.routes.extend(routes(Speaker.within(app), None if settings.api_keys else Identity(settings)))

        def started(port: int) -> None:
            print(f"Muniment is ready at http://{settings.host}:{port} (process {os.getpid()})", flush=True)

        return await serve(app, parts, settings, started=started)


@asynccontextmanager
async def system(settings: Settings, of: Sequence[Definition]) -> AsyncGenerator[list[Running], None]:
    """The services on PostgreSQL and Valkey of the data folder; closed in the order in which they depend on each
    other. Raises CannotStart."""
    folder = open_folder(settings.data_dir)
    folder.tell(f"process {os.getpid()}, http://{settings.host}:{settings.port}")
    try:
        async with _databases(folder) as (dsn, redis), _parts(settings, of, dsn, redis) as parts:
            yield parts
    finally:
        folder.release()


def definitions(names: Sequence[str] = SERVICES) -> list[Definition]:
    """The rooms of these services, or of all."""
    return [import_module(f"services.{name}.service").DEFINITION for name in names]


def sources() -> dict[str, str]:
    """The service that keeps each topic of the log in its own table of events."""
    return {topic: name for name in SERVICES for topic in relayed_topics(name)}


@asynccontextmanager
async def _databases(folder: DataFolder) -> AsyncGenerator[tuple[str, str], None]:
    postgres, valkey = Postgres(folder), Valkey(folder)
    try:
        valkey.launch()
        await postgres.start()
        valkey.wait()
        yield postgres.dsn, valkey.url
    finally:
        postgres.stop()
        valkey.stop()


@asynccontextmanager
async def _parts(
    settings: Settings, of: Sequence[Definition], dsn: str, redis: str
) -> AsyncGenerator[list[Running], None]:
    """Every service on its own store; the stores' tables of events are the log, so nothing is relayed."""
    log, live = PostgresLog(dsn, sources()), ValkeyLive(redis)
    keyring = PostgresKeyring(settings.keyring or dsn)
    stores = [PostgresStore(dsn, one.name, one.tables, settings.idempotency_seconds) for one in of]
    try:
        await log.setup()
        for store in stores:
            await store.setup()
        services = [
            Service(one.name, settings, store, log, live, CommandLoop(one.name, store), keyring)
            for one, store in zip(of, stores, strict=True)
        ]
        yield [
            Running(one, service, relays=False, scratch=partial(scratch_store, dsn, one.name, one.tables))
            for one, service in zip(of, services, strict=True)
        ]
    finally:
        closers: list[Callable[[], object]] = [log.close, *(store.close for store in stores), live.close, keyring.close]
        for close in closers:
            await close()  # type: ignore[misc]
