"""What may be lost, in the memory of one process: for tests, and as a stand-in where no Valkey is reachable."""

import asyncio
from math import ceil
from time import monotonic

from shared.runtime.service import AsyncMessages

MAX_COUNTS = 10_000
"""Counts above which those that are over are looked for and forgotten."""

MAX_WAITING = 1_000
"""Messages that wait for one slow listener; the oldest go first."""


class MemoryLive:
    """Live within one process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[MemoryMessages]] = {}
        self._counts: dict[str, tuple[int, float]] = {}

    async def send(self, channel: str, *messages: str) -> None:
        for listener in tuple(self._listeners.get(channel, ())):
            for message in messages:
                listener.put(message)

    def listen(self, channel: str) -> AsyncMessages:
        return MemoryMessages(self._listeners, channel)

    async def count(self, name: str, seconds: int, by: int = 1) -> tuple[int, int]:
        now = monotonic()
        if len(self._counts) >= MAX_COUNTS:
            self._counts = {one: kept for one, kept in self._counts.items() if kept[1] > now}
        count, until = self._counts.get(name, (0, 0.0))
        if until <= now:
            count, until = 0, now + seconds
        self._counts[name] = (count + by, until)
        return count + by, max(1, min(seconds, ceil(until - now)))  # a sum less its part may be a hair more

    async def close(self) -> None:
        self._listeners.clear()


class MemoryMessages:
    """One listener of a channel; the last to leave takes the channel along."""

    def __init__(self, listeners: "dict[str, set[MemoryMessages]]", channel: str) -> None:
        self._listeners, self._channel = listeners, channel
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

    async def __aenter__(self) -> "MemoryMessages":
        self._listeners.setdefault(self._channel, set()).add(self)
        return self

    async def __aexit__(self, *details: object) -> None:
        here = self._listeners.get(self._channel, set())
        here.discard(self)
        if not here:
            self._listeners.pop(self._channel, None)

    def put(self, message: str) -> None:
        """Queue a message; a listener that does not keep up loses the oldest."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(message)

    async def next(self, timeout: float) -> str | None:
        try:
            async with asyncio.timeout(timeout):  # wait_for may swallow a cancellation before Python 3.12
                return await self._queue.get()
        except TimeoutError:
            return None
