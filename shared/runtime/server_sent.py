"""Endless answers of server-sent events (WHATWG HTML, 9.2), for every service that tells what happens as it happens."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import Header
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.runtime.problems import Problem
from shared.runtime.service import Service

BEAT_SECONDS = 1.0
"""How soon a listener's answer ends once the process is asked to stop."""

QUIET_BEATS = 15
"""A comment shows that the connection lives after so many beats without an event; proxies drop what is silent."""

RETRY_MILLISECONDS = 2_000
DISORDER = timedelta(seconds=5)
"""Partitions are read side by side, so that an event may come so much before an older one of another partition."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

LastEventId = Annotated[str | None, Header(max_length=200, description="The id of the last event that arrived.")]


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream. `data`: one line of JSON. `id`: None for what cannot be looked up again, so that
    Last-Event-ID always names what can."""

    type: str
    data: str
    id: str | None = None


Since = Callable[[], Awaitable[Sequence[Told]]]
Read = Callable[[str], Told | None]


@dataclass(slots=True)
class Places:
    """How many listen here now."""

    limit: int
    taken: int = 0

    def take(self) -> None:
        """Raises Problem 503 where all places are taken."""
        if self.taken >= self.limit:
            detail = f"{self.taken} listeners are connected to this process, its limit."
            fix = "Try again, or raise MUNIMENT_MAX_STREAM_CLIENTS."
            raise Problem(503, "too-many-listeners", detail, fix, headers={"Retry-After": "5"})
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1


def documented(what: str) -> dict[int | str, dict[str, object]]:
    """What OpenAPI says of such an answer."""
    return {200: {"description": what, "content": {"text/event-stream": {"schema": {"type": "string"}}}}}


def streamed(service: Service, places: Places, channel: str, since: Since, read: Read) -> StreamingResponse:
    """The answer to one listener: first what `since` gives, asked once the listening has begun, so that nothing falls
    between; then each message of the channel, as `read` gives it, None where it is not for this listener. It ends when
    the process is asked to stop. Raises Problem 503 where all places are taken."""
    places.take()
    return _Stream(_lines(service, channel, since, read), places.leave)


def missed(last: str, detail: str, fix: str) -> Told:
    """What a listener is told who comes back after more than can be told again."""
    return Told("Missed", orjson.dumps({"last_event_id": last, "detail": detail, "fix": fix}).decode())


class _Stream(StreamingResponse):
    """An endless answer that gives its place back, however it ends."""

    def __init__(self, lines: AsyncGenerator[bytes, None], leave: Callable[[], None]) -> None:
        super().__init__(lines, headers=HEADERS, media_type="text/event-stream")
        self._lines, self._leave = lines, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
            await self._lines.aclose()


async def _lines(service: Service, channel: str, since: Since, read: Read) -> AsyncGenerator[bytes, None]:
    async with service.live.listen(channel) as messages:
        yield f": listening\nretry: {RETRY_MILLISECONDS}\n\n".encode()
        before = await since()
        for one in before:
            yield _line(one)
        known = {one.id for one in before if one.id is not None}
        quiet = 0
        while not service.closing.is_set():
            message = await messages.next(BEAT_SECONDS)
            quiet = quiet + 1 if message is None else 0
            if message is not None:
                one = read(message)
                if one is not None and one.id not in known:
                    yield _line(one)
            elif quiet % QUIET_BEATS == 0:
                yield b": still here\n\n"


def _line(one: Told) -> bytes:
    name = "" if one.id is None else f"id: {one.id}\n"
    return f"{name}event: {one.type}\ndata: {one.data}\n\n".encode()
