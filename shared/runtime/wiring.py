"""`python -m services.NAME api|worker|all|rebuild|verify|fold`: one service on Kafka, PostgreSQL and Valkey."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import TypeVar

import structlog
import uvloop

from shared.keyring.postgres import PostgresKeyring
from shared.log.kafka import KafkaLog
from shared.log.kafka_topics import TopicsWrong
from shared.log.log import LogUnavailable
from shared.log.postgres_scratch import InUse, scratch_store
from shared.log.postgres_store import PostgresStore
from shared.log.store import Store, StoreUnavailable
from shared.runtime.app import create_app
from shared.runtime.checking import CODES, as_json, check_views, record
from shared.runtime.commands import CommandLoop
from shared.runtime.consumer import Consumer
from shared.runtime.observability import configure_logs
from shared.runtime.progress import Told
from shared.runtime.rebuilding import Broken, fold, parsed, rebuild, refill, without_indexes
from shared.runtime.running import Running, Transport
from shared.runtime.service import Definition, Service
from shared.runtime.serving import CannotServe, serve
from shared.runtime.settings import BadSetting, Settings
from shared.runtime.valkey import ValkeyLive

logger = structlog.get_logger()

T = TypeVar("T")

RETRY_SECONDS = 1.0
ACTOR = "command line"
"""Who asks for a check of the views there."""

_ROLES = (
    "answer requests, fold the log, or both; or empty the views, which workers then fill from the log's start (or this"
    " command, with --wait); or verify the views against a replay beside them (exit code 0 equal, 1 different, 2 could"
    " not tell); or only consume, as the processes of a rebuild do"
)
TOLD_SECONDS = 10.0
"""How often a rebuild tells its progress where no terminal shows it all the time."""


def main(definition: Definition) -> None:
    """Run the process that the command line asks for; exits 0 after SIGTERM or SIGINT, else with 1 and a reason."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{definition.name}")
    parser.add_argument("role", choices=["api", "worker", "all", "rebuild", "verify", "fold"], help=_ROLES)
    parser.add_argument("--json", action="store_true", help="what verify found, for scripts")
    parser.add_argument("--no-record", action="store_true", help="put nothing that verify finds on record")
    parser.add_argument("--wait", action="store_true", help="rebuild: fill the views here, and tell the progress")
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--processes",
        type=int,
        default=cores,
        metavar="N",
        help=f"that fill them, each with a share of the log's partitions; default one a core, {cores}",
    )
    parser.add_argument("--share", default="[]", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    role: str = arguments.role
    try:
        settings = Settings.read()
        configure_logs(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if role == "verify":
                code = runner.run(verify(definition, settings, arguments.json, not arguments.no_record))
            elif role == "fold":
                code = runner.run(folded(definition, settings, arguments.share))
            elif role == "rebuild" and arguments.wait:
                code = runner.run(refilled(definition, settings, max(1, arguments.processes)))
            else:
                code = runner.run(run(definition, role, settings))
    except (BadSetting, CannotServe) as error:
        print(f"{parser.prog} {role}: {error}", file=sys.stderr)
        code = CODES["could not tell"] if role == "verify" else 1
    sys.exit(code)


async def run(definition: Definition, role: str, settings: Settings) -> int:
    """Serve one role of one service until told to stop, or let its views be rebuilt; returns the exit code."""
    async with ports(definition, settings) as service:
        if role == "rebuild":
            names = await rebuild(definition, service)
            logger.info("views emptied; workers fill them from the log", service=definition.name, consumers=names)
            return 0

        def scratch() -> AbstractAsyncContextManager[Store]:
            return scratch_store(settings.postgres, definition.name, definition.tables)

        works, transport = role != "api", _transport(definition, settings)
        part = Running(definition, service, works=works, transport=transport, scratch=scratch)
        app = create_app(f"Muniment {definition.name}", [part], settings, routes=role != "worker")

        def started(port: int) -> None:
            logger.info("started", service=definition.name, role=role, host=settings.host, port=port)

        code = await serve(app, [part], settings, started=started)
    logger.info("stopped", service=definition.name, role=role, code=code)
    return code


async def verify(definition: Definition, settings: Settings, json: bool = False, kept: bool = True) -> int:
    """Check the views of one service beside whatever works for it, put what was found on record (where it is `kept`)
    and print it; returns the exit code. Raises CannotServe."""
    try:
        async with (
            ports(definition, settings) as service,
            scratch_store(settings.postgres, definition.name, definition.tables) as scratch,
        ):
            outcome = await check_views(definition, service, scratch)
            if kept:
                await record(service, outcome, ACTOR)
    except (InUse, StoreUnavailable) as error:
        raise CannotServe(str(error)) from error
    except CannotServe:
        raise
    except Exception as error:  # it must not end as if something differed
        logger.exception("check failed", service=definition.name)
        raise CannotServe(f"unexpected {error!r}") from error
    print(as_json([outcome]) if json else outcome)
    return outcome.code


async def refilled(definition: Definition, settings: Settings, processes: int) -> int:
    """Rebuild the views of one service here, by so many processes, and tell how far it is; returns the exit code."""
    shown, told_at = sys.stderr.isatty(), 0.0

    def tell(told: Told) -> None:
        nonlocal told_at
        over = told.records == told.of
        if shown:
            print(f"\r\x1b[K{told}", end="\n" if over else "", file=sys.stderr, flush=True)
        elif over or monotonic() - told_at > TOLD_SECONDS:
            told_at = monotonic()
            logger.info("rebuilding", service=definition.name, progress=str(told), **told.as_dict)

    async with ports(definition, settings) as service:
        try:
            command = (sys.executable, "-m", f"services.{definition.name}", "fold", "--share")
            await refill(definition, service, processes, command, tell)
        except (Broken, InUse) as error:
            raise CannotServe(str(error)) from error
    logger.info("views rebuilt", service=definition.name)
    return 0


async def folded(definition: Definition, settings: Settings, share: str) -> int:
    """Only consume, until told to stop: one of the processes of a rebuild, which sees to the indexes itself."""
    async with ports(without_indexes(definition), settings) as service:
        return 0 if await fold(definition, service, parsed(share)) else 1


@asynccontextmanager
async def ports(definition: Definition, settings: Settings) -> AsyncGenerator[Service, None]:
    """The service on its real ports, waited for up to `start_seconds`. Raises CannotServe."""
    store = PostgresStore(settings.postgres, definition.name, definition.tables)
    log, live = KafkaLog(settings.kafka, settings), ValkeyLive(settings.redis)
    keyring = PostgresKeyring(settings.keyring or settings.postgres)
    try:
        await _until_there("PostgreSQL (MUNIMENT_POSTGRES)", store.setup, settings)
        await _until_there("Kafka (MUNIMENT_KAFKA)", log.start, settings)
        yield Service(definition.name, settings, store, log, live, CommandLoop(definition.name, store), keyring)
    finally:
        for close in (log.close, store.close, live.close, keyring.close):
            await close()


async def _until_there(what: str, connect: Callable[[], Awaitable[T]], settings: Settings) -> T:
    until = monotonic() + settings.start_seconds
    while True:
        try:
            return await connect()
        except TopicsWrong as error:
            raise CannotServe(f"{what}: {error}") from error
        except (StoreUnavailable, LogUnavailable) as error:
            if monotonic() >= until:
                raise CannotServe(f"{what} cannot be used: {error}") from error
            logger.warning("waiting", what=what, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)


def _transport(definition: Definition, settings: Settings) -> Transport:
    """A Faust agent for the consumers that ask for it, their own loop for the others."""

    async def transport(consumer: Consumer) -> None:
        if consumer.name not in definition.agents:
            await consumer.run()
            return
        from shared.runtime.faust_transport import FaustConsumer  # only the monitor's image holds Faust

        await FaustConsumer(consumer, settings.kafka, settings.data_dir).run()

    return transport
