"""One explaining process: started when first needed, asked one thing at a time, killed when it takes too long."""

import asyncio
import contextlib
import os
import pickle
import sys
from dataclasses import dataclass, field
from typing import Any

import structlog

from services.monitor.explaining.child import LENGTH

logger = structlog.get_logger()

_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Busy(Exception):
    """So many wait already that another would not be answered in time."""


class TookTooLong(Exception):
    """No answer within the time given."""


class Died(Exception):
    """The explaining process ended by itself."""


class Starting(Exception):
    """The explaining process is not up yet; it goes on starting."""


@dataclass(slots=True)
class Process:
    """`ask` sends one request at a time; `most` may wait or run."""

    most: int
    _child: asyncio.subprocess.Process | None = None
    _starting: asyncio.Task[asyncio.subprocess.Process] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0
    _warming: asyncio.Task[None] | None = None

    async def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer. Raises Busy, Starting, TookTooLong, Died."""
        if self._waiting >= self.most:
            raise Busy(f"{self._waiting} explanations wait already")
        self._waiting += 1
        started = False
        try:
            async with asyncio.timeout(seconds), self._turn:
                child = await self._started()
                started = True
                return await self._asked(child, request)
        except TimeoutError as error:
            if not started and self._child is None:
                raise Starting(f"the explaining process was not up within {seconds:g} s") from error
            raise TookTooLong(f"no answer within {seconds:g} s") from error
        finally:
            self._waiting -= 1

    def warm(self, seconds: float) -> None:
        """Start the process after so many seconds, so that the first request need not wait for it."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm(seconds))

    async def close(self) -> None:
        """End the process."""
        tasks: list[asyncio.Task[Any]] = [task for task in (self._warming, self._starting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._kill()

    async def _warm(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(Died, OSError):
            await self._started()

    async def _asked(self, child: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
        whole = False
        try:
            assert child.stdin is not None  # noqa: S101  it was started with pipes
            data = pickle.dumps(request)
            child.stdin.write(LENGTH.pack(len(data)) + data)
            answer = await _next(child)
            whole = True
            return answer
        finally:
            if not whole:  # what it would answer now would be taken for the next answer
                await self._kill()

    async def _started(self) -> asyncio.subprocess.Process:
        """The process, once it is up. Whoever stops waiting does not stop its start."""
        if self._child is not None and self._child.returncode is None:
            return self._child
        if self._starting is None:
            self._starting = asyncio.create_task(_start())
        try:
            child = await asyncio.shield(self._starting)
        finally:
            if self._starting is not None and self._starting.done():
                self._starting = None
        self._child = child
        return child

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await _killed(child)


async def _start() -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.monitor.explaining.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | _THREADS,
    )
    try:
        await _next(child)
    except BaseException:
        await _killed(child)
        raise
    logger.info("explaining process started", pid=child.pid)
    return child


async def _next(child: asyncio.subprocess.Process) -> dict[str, Any]:
    assert child.stdout is not None  # noqa: S101  it was started with pipes
    try:
        (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
        return pickle.loads(await child.stdout.readexactly(length))  # noqa: S301  our own child's words
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Died("the explaining process ended by itself") from error


async def _killed(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
