"""A process at work: an app on a port, and the parts beside it, until it is asked to stop or something breaks."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator, Sequence

import structlog
import uvicorn
from fastapi import FastAPI

from shared.runtime import memory
from shared.runtime.health import Health
from shared.runtime.identity import may_bind
from shared.runtime.running import Running
from shared.runtime.settings import Settings

logger = structlog.get_logger()

BACKLOG = 2048


class CannotServe(Exception):
    """Why this process may not or cannot listen, for a person to read."""


async def serve(
    app: FastAPI,
    parts: Sequence[Running],
    settings: Settings,
    *,
    stop: asyncio.Event | None = None,
    started: Callable[[int], None] | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or `stop`; returns 0 then, and 1 where a part ended by itself, which it never should.

    `started` gets the port, once connections are taken. Stopping: take no more connections, end the requests, stop the
    parts, let their writers flush. The ports (store, log, live) are the caller's to close. Raises CannotServe.
    """
    listener = listen(settings)
    stop = stop or asyncio.Event()
    server = _Server(_config(app, settings))
    health: Health = app.state.health
    with _signals(stop):
        for part in parts:
            await part.start()
        serving = asyncio.create_task(server.serve([listener]), name="http")
        watching = asyncio.create_task(health.run(), name="health")
        memory.settle()
        if started:
            started(listener.getsockname()[1])
        broken = await _until_over(stop, parts, [serving, watching])
        if broken:
            logger.error("stopping: a part ended by itself", reason=broken)
        for part in parts:
            part.service.closing.set()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.gather(*(part.stop() for part in parts))
    return 1 if broken else 0


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises CannotServe where it is in use, or open to others without API keys."""
    forbidden = may_bind(settings)
    if forbidden:
        raise CannotServe(forbidden)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotServe(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error


async def _until_over(stop: asyncio.Event, parts: Sequence[Running], tasks: Sequence[asyncio.Task[None]]) -> str | None:
    """None once asked to stop; otherwise what broke."""
    asked = asyncio.create_task(stop.wait())
    failures = [asyncio.create_task(part.failed()) for part in parts]
    done, _ = await asyncio.wait([asked, *failures, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (asked, *failures):
        task.cancel()
    if asked in done:
        return None
    for task in done:
        if task in failures:
            return str(task.result())
    return f"{[task.get_name() for task in tasks if task in done]} ended"


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=round(settings.stop_seconds),
    )


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: stopping has an order, and is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Generator[None, None, None]:
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            loop.add_signal_handler(number, stop.set)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
