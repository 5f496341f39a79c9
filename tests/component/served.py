"""Services behind one real port, over the adapters in memory, for others' clients: `with served(…) as address`."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.app import routes
from console.speaking import Speaker
from shared.log.memory import MemoryLog, MemoryStore
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.identity import Identity
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running
from shared.runtime.service import Definition, Service
from shared.runtime.serving import serve
from shared.runtime.settings import Settings

START_SECONDS = 60.0


@contextmanager
def served(
    definition: Definition, folder: Path, *others: Definition, console: bool = False, **changed: Any
) -> Iterator[str]:
    """One or more services at work in a thread of their own, with the console where it is asked for; yields their
    address."""
    port: Future[int] = Future()
    loops: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    settings = Settings(data_dir=folder, port=0, **changed)
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve((definition, *others), settings, console, port, loops)), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{port.result(START_SECONDS)}"
    finally:
        loop, stop = loops.result(START_SECONDS)
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_SECONDS)


async def _serve(
    definitions: Sequence[Definition], settings: Settings, console: bool, port: Future[int], loops: Future[Any]
) -> None:
    stop = asyncio.Event()
    loops.set_result((asyncio.get_running_loop(), stop))
    log, live, parts = MemoryLog(), MemoryLive(), list[Running]()
    for one in definitions:
        store = MemoryStore(one.name, one.tables)
        parts.append(Running(one, Service(one.name, settings, store, log, live, CommandLoop(one.name, store))))
    try:
        app = create_app("served", parts, settings)
        if console:
            app.router.routes.extend(routes(Speaker.within(app), Identity(settings)))
        await serve(app, parts, settings, stop=stop, started=port.set_result)
    except BaseException as error:
        if not port.done():
            port.set_exception(error)
        raise
