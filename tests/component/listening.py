"""Who listens to server-sent events, for tests."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from httpx import AsyncClient

SECONDS = 120


@dataclass(slots=True)
class Listener:
    """What came over one stream: the events, parsed as a browser would, and the comments."""

    lines: AsyncIterator[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, *types: str) -> dict[str, dict[str, Any]]:
        """Read on until each type has come; answers the last of each so far."""
        async with asyncio.timeout(SECONDS):
            while not set(types) <= {one["event"] for one in self.events}:
                await self.next()
        return {one["event"]: one for one in self.events}

    async def next(self) -> dict[str, Any]:
        """The next event."""
        fields: dict[str, Any] = {}
        async for line in self.lines:
            name, _, value = line.partition(": ")
            if line and name:
                fields[name] = json.loads(value) if name == "data" else value
            elif "event" in fields:
                self.events.append(fields)
                return fields
        raise EOFError

    async def comment(self) -> str:
        async for line in self.lines:
            if line.startswith(": "):
                return line
        raise EOFError


@asynccontextmanager
async def listening_to(client: AsyncClient, path: str, **more: Any) -> AsyncIterator[Listener]:
    """Once it listens. `more`: of the request."""
    async with client.stream("GET", path, **more) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        listener = Listener(answer.aiter_lines())
        assert await listener.comment() == ": listening"
        yield listener
