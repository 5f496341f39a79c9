"""The database of an embedded system for a command: of the one that runs, or of one started for as long as it takes."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from muniment.embedded.folder import AlreadyRuns, CannotStart, open_folder, running_folder
from muniment.embedded.postgres import Postgres
from muniment.embedded.system import definitions, sources
from shared.events.catalog import SERVICES
from shared.keyring.postgres import PostgresKeyring
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_store import PostgresStore
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.service import Definition, Service
from shared.runtime.settings import Settings


@asynccontextmanager
async def reached(data_dir: Path, doing: str) -> AsyncGenerator[str, None]:
    """Its address. `doing`: what a system that would start meanwhile is told. Raises CannotStart."""
    if not (data_dir / "postgres").exists():
        raise CannotStart(f"there is no data of an embedded system in {data_dir}")
    try:
        folder = open_folder(data_dir)
    except AlreadyRuns:
        yield Postgres(running_folder(data_dir)).dsn
        return
    folder.tell(doing)
    postgres = Postgres(folder)
    try:
        await postgres.start()
        yield postgres.dsn
    finally:
        postgres.stop()
        folder.release()


@asynccontextmanager
async def opened(dsn: str, settings: Settings, of: Sequence[Definition]) -> AsyncGenerator[list[Service], None]:
    """Services on it, in the order of `of`, which only read the log and write their views."""
    async with AsyncExitStack() as stack:
        log = PostgresLog(dsn, sources())
        stack.push_async_callback(log.close)
        await log.setup()
        keyring = PostgresKeyring(settings.keyring or dsn)
        stack.push_async_callback(keyring.close)
        services: list[Service] = []
        for one in of:
            store = PostgresStore(dsn, one.name, one.tables)
            stack.push_async_callback(store.close)
            await store.setup()
            commands = CommandLoop(one.name, store)
            services.append(Service(one.name, settings, store, log, MemoryLive(), commands, keyring))
        yield services


def chosen(names: Sequence[str]) -> list[Definition]:
    """The services of these names, or all. Raises CannotStart."""
    if unknown := set(names) - set(SERVICES):
        raise CannotStart(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(SERVICES)}")
    return definitions([name for name in SERVICES if not names or name in names])
