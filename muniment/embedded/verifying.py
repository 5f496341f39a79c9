"""The views of the embedded system verified: beside one that runs, or, where none does, for as long as it takes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
import uvloop

from muniment.embedded.folder import AlreadyRuns, CannotStart, open_folder, running_folder
from muniment.embedded.postgres import Postgres
from muniment.embedded.system import definitions, sources
from shared.log.log import LogUnavailable
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_scratch import InUse, scratch_store
from shared.log.postgres_store import PostgresStore
from shared.log.store import StoreUnavailable
from shared.runtime.checking import Outcome, check_views, record
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.observability import configure_logs
from shared.runtime.service import Definition, Service
from shared.runtime.settings import Settings

logger = structlog.get_logger()

ACTOR = "command line"
"""Who asks for these checks."""


def verify(
    data_dir: Path, names: Sequence[str] = (), told: Callable[[Outcome], None] | None = None, kept: bool = True
) -> list[Outcome]:
    """Check the views of these services, or of all; `told` gets each outcome as it is there, and where they are `kept`
    they go on record. Raises CannotStart."""
    settings = Settings(data_dir=data_dir)
    configure_logs(settings)
    of = definitions()
    if unknown := set(names) - {one.name for one in of}:
        raise CannotStart(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(o.name for o in of)}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_verify(settings, of, names, told, kept))
    except CannotStart:
        raise
    except (InUse, StoreUnavailable, LogUnavailable) as error:
        raise CannotStart(str(error)) from error
    except Exception as error:  # it must not end as if something differed
        logger.exception("check failed")
        raise CannotStart(f"unexpected {error!r}") from error


async def _verify(
    settings: Settings,
    of: Sequence[Definition],
    names: Sequence[str],
    told: Callable[[Outcome], None] | None,
    kept: bool,
) -> list[Outcome]:
    async with _postgres(settings.data_dir) as dsn:
        return await verify_all(dsn, settings, of, names, told, kept)


async def verify_all(
    dsn: str,
    settings: Settings,
    of: Sequence[Definition],
    names: Sequence[str] = (),
    told: Callable[[Outcome], None] | None = None,
    kept: bool = True,
) -> list[Outcome]:
    """Check the views of these of the services, or of all, one after another, on the PostgreSQL of an embedded system;
    `kept`: what is found goes on record. Raises InUse, StoreUnavailable, LogUnavailable."""
    outcomes: list[Outcome] = []
    async with AsyncExitStack() as stack:
        log = PostgresLog(dsn, sources(of))
        stack.push_async_callback(log.close)
        await log.setup()
        for one in of:
            if names and one.name not in names:
                continue
            store = PostgresStore(dsn, one.name, one.tables)
            stack.push_async_callback(store.close)
            await store.setup()
            service = Service(one.name, settings, store, log, MemoryLive(), CommandLoop(one.name, store))
            async with scratch_store(dsn, one.name, one.tables) as scratch:
                outcomes.append(await check_views(one, service, scratch))
            if kept:
                await record(service, outcomes[-1], ACTOR)
            if told is not None:
                told(outcomes[-1])
    return outcomes


@asynccontextmanager
async def _postgres(data_dir: Path) -> AsyncGenerator[str, None]:
    """The address of the folder's PostgreSQL: of the one that runs, or of one started for this."""
    if not (data_dir / "postgres").exists():
        raise CannotStart(f"there is no data of an embedded system in {data_dir}")
    try:
        folder = open_folder(data_dir)
    except AlreadyRuns:
        yield Postgres(running_folder(data_dir)).dsn
        return
    folder.tell("its views are being verified")
    postgres = Postgres(folder)
    try:
        await postgres.start()
        yield postgres.dsn
    finally:
        postgres.stop()
        folder.release()
