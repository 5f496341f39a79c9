"""A service behind a real port, over the adapters in memory, for others' clients: `with served(…) as address`."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.log.memory import MemoryLog, MemoryStore
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running
from shared.runtime.service import Definition, Service
from shared.runtime.serving import serve
from shared.runtime.settings import Settings

START_SECONDS = 20.0


@contextmanager
def served(definition: Definition, folder: Path, **changed: Any) -> Iterator[str]:
    """The service at work in a thread of its own; yields its address."""
    port: Future[int] = Future()
    loops: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    settings = Settings(data_dir=folder, port=0, **changed)
    thread = threading.Thread(target=lambda: asyncio.run(_serve(definition, settings, port, loops)), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port.result(START_SECONDS)}"
    finally:
        loop, stop = loops.result(START_SECONDS)
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_SECONDS)


async def _serve(definition: Definition, settings: Settings, port: Future[int], loops: Future[Any]) -> None:
    stop = asyncio.Event()
    loops.set_result((asyncio.get_running_loop(), stop))
    store, log = MemoryStore(definition.name, definition.tables), MemoryLog()
    service = Service(definition.name, settings, store, log, MemoryLive(), CommandLoop(definition.name, store))
    part = Running(definition, service)
    try:
        app = create_app("served", [part], settings)
        await serve(app, [part], settings, stop=stop, started=port.set_result)
    except BaseException as error:
        if not port.done():
            port.set_exception(error)
        raise
