"""A load generator: keep-alive HTTP/1.1 connections, each of which posts as soon as it has its answer."""

import asyncio
import time
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


@dataclass(slots=True)
class _Round:
    request: bytes
    until: float
    answers: int = 0
    failure: str = ""


@dataclass(eq=False)
class _Connection(asyncio.Protocol):
    round: _Round
    over: asyncio.Event = field(default_factory=asyncio.Event)
    held: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.transport.write(self.round.request)

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
        self.round.answers += 1
        if time.perf_counter() < self.round.until:
            self.transport.write(self.round.request)
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self.round.until:
            self.round.failure = self.round.failure or f"connection lost: {error!r}"
        self.over.set()


async def rate(port: int, request: bytes, connections: int, seconds: float) -> float:
    """Answers per second, until the last request sent within `seconds` has its answer. Raises Refused."""
    start = time.perf_counter()
    state = _Round(request, start + seconds)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: _Connection(state), "127.0.0.1", port) for _ in range(connections)]
    async with asyncio.timeout(seconds + ANSWER_SECONDS):
        for _, connection in made:
            await connection.over.wait()
    if state.failure:
        raise Refused(state.failure)
    return state.answers / (time.perf_counter() - start)
