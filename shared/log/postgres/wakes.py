"""Being woken by NOTIFY: one listening connection, opened again when it is lost. Whoever waits polls now and then."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import structlog

from shared.log.postgres.connection import Connection, connect

logger = structlog.get_logger()

RETRY_SECONDS = 0.5
CHECK_SECONDS = 5.0
NOTIFY = "SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS n (c, p)"


def channel(schema: str, what: str) -> str:
    """The channel on which a schema tells of `what`."""
    return f"{schema}.{what}"


class Wakes:
    """Counts notifications per (channel, payload), so that none is missed between looking and waiting."""

    def __init__(self, dsn: str, channels: Iterable[str]) -> None:
        self._dsn, self._channels = dsn, tuple(channels)
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._joined = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen from now on; raises what connecting raises."""
        connection = await self._listen()
        self._task = asyncio.create_task(self._keep_listening(connection))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def count(self, channel: str, payload: str | None = None) -> int:
        """How often it rang with this payload, or with any; also grows whenever rings may have been missed."""
        return self._joined + self._counts[channel, payload]

    async def until(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Wait until `happened()`, which looks at counts, is true; False after `timeout` seconds."""
        end = monotonic() + timeout
        while not happened():
            try:
                async with asyncio.timeout(
                    max(end - monotonic(), 0)
                ):  # wait_for may swallow a cancellation before Python 3.12
                    await self._changed.wait()
            except TimeoutError:
                return happened()
        return True

    async def _listen(self) -> Connection:
        connection = await connect(self._dsn)
        for name in self._channels:
            await connection.add_listener(name, self._ring)
        self._joined += 1
        self._wake()
        return connection

    async def _keep_listening(self, connection: Connection | None) -> None:
        try:
            while True:
                if connection is None:
                    connection = await self._again()
                await asyncio.sleep(CHECK_SECONDS if connection else RETRY_SECONDS)
                if connection is not None and not await _alive(connection):
                    connection = None
        finally:
            if connection is not None:
                connection.terminate()

    async def _again(self) -> Connection | None:
        try:
            return await self._listen()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.warning("listening interrupted", error=repr(error))
            return None

    def _ring(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._counts[channel, str(payload)] += 1
        self._counts[channel, None] += 1
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _alive(connection: Connection) -> bool:
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await connection.execute("SELECT 1", timeout=CHECK_SECONDS)
        return True
    connection.terminate()
    return False
