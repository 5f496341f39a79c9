"""A load generator: keep-alive HTTP/1.1 connections, each of which posts as soon as it has its answer."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

END_OF_HEAD = b"\r\n\r\n"
ANSWER_SECONDS = 30.0


class Refused(Exception):
    """An answer other than 2xx, or a connection that ended."""


def post(path: str, body: bytes, media_type: str) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-Actor: bench\r\nContent-Type: {media_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


Request = bytes | Callable[[], bytes]
"""A whole request, or what makes the next one."""


@dataclass(slots=True)
class _Round:
    request: Request
    until: float
    answers: int = 0
    failure: str = ""
    seconds: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did: answers per second, and the seconds of each answer in the order in which they came.

    A connection asks again once it has its answer, so these are times of service under that many connections, and not
    corrected for coordinated omission (as wrk2's are)."""

    rate: float
    seconds: list[float]

    def percentile(self, percent: float) -> float:
        """By the nearest rank."""
        return sorted(self.seconds)[min(int(len(self.seconds) * percent / 100), len(self.seconds) - 1)]


@dataclass(eq=False)
class _Connection(asyncio.Protocol):
    round: _Round
    over: asyncio.Event = field(default_factory=asyncio.Event)
    held: bytes = b""
    asked: float = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._ask()

    def _ask(self) -> None:
        self.asked = time.perf_counter()
        request = self.round.request
        self.transport.write(request if isinstance(request, bytes) else request())

    def data_received(self, data: bytes) -> None:
        self.held += data
        head, found, body = self.held.partition(END_OF_HEAD)
        if not found:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) < int(length[15:]):
            return
        if not head.startswith(b"HTTP/1.1 2"):
            self.round.failure = (head.splitlines()[0] + b" " + body[:500]).decode()
            self.transport.close()
            return
        self.held = b""
        now = time.perf_counter()
        self.round.answers += 1
        self.round.seconds.append(now - self.asked)
        if now < self.round.until:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self.round.until:
            self.round.failure = self.round.failure or f"connection lost: {error!r}"
        self.over.set()


async def rate(port: int, request: Request, connections: int, seconds: float) -> float:
    """Answers per second. Raises as `load`."""
    return (await load(port, request, connections, seconds)).rate


async def load(port: int, request: Request, connections: int, seconds: float) -> Load:
    """The load of so many connections, until the last request sent within `seconds` has its answer. Raises Refused."""
    start = time.perf_counter()
    state = _Round(request, start + seconds)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: _Connection(state), "127.0.0.1", port) for _ in range(connections)]
    async with asyncio.timeout(seconds + ANSWER_SECONDS):
        for _, connection in made:
            await connection.over.wait()
    if state.failure:
        raise Refused(state.failure)
    return Load(state.answers / (time.perf_counter() - start), state.seconds)
