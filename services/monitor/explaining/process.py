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


@dataclass(slots=True)
class Process:
    """`ask` sends one request at a time; `most` may wait or run."""

    most: int
    _child: asyncio.subprocess.Process | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0
    _warming: asyncio.Task[None] | None = None

    async def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer. Raises Busy, TookTooLong, Died."""
        if self._waiting >= self.most:
            raise Busy(f"{self._waiting} explanations wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds), self._turn:
                return await self._asked(request)
        except TimeoutError as error:
            raise TookTooLong(f"no answer within {seconds:g} s") from error
        finally:
            self._waiting -= 1

    def warm(self, seconds: float) -> None:
        """Start the process after so many seconds, so that the first request need not wait for it."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm(seconds))

    async def close(self) -> None:
        """End the process."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        await self._kill()

    async def _warm(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(Died, OSError):
            async with self._turn:
                await self._started()

    async def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        whole = False
        try:
            child = await self._started()
            assert child.stdin is not None  # noqa: S101  it was started with pipes
            data = pickle.dumps(request)
            child.stdin.write(LENGTH.pack(len(data)) + data)
            answer = await self._next(child)
            whole = True
            return answer
        finally:
            if not whole:  # what it would answer now would be taken for the next answer
                await self._kill()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._child is not None and self._child.returncode is None:
            return self._child
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.monitor.explaining.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | _THREADS,
        )
        try:
            await self._next(child)
        except BaseException:
            await _killed(child)
            raise
        logger.info("explaining process started", pid=child.pid)
        self._child = child
        return child

    async def _next(self, child: asyncio.subprocess.Process) -> dict[str, Any]:
        assert child.stdout is not None  # noqa: S101  it was started with pipes
        try:
            (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
            return pickle.loads(await child.stdout.readexactly(length))  # noqa: S301  our own child's words
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Died("the explaining process ended by itself") from error

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await _killed(child)


async def _killed(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
