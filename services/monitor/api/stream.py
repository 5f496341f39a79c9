"""What the monitor states, as server-sent events (WHATWG HTML, 9.2)."""

from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from services.monitor.worker import STREAM
from shared.runtime.http import Call, reading
from shared.runtime.service import Service

BEAT_SECONDS = 1.0
BEATS = 15


def add(router: APIRouter, service: Service) -> None:
    """GET /stream."""

    @router.get("/stream", response_class=StreamingResponse)
    async def get_stream(call: Call = Depends(reading(service))) -> StreamingResponse:
        """Measured windows, drift and missed targets as they are stated; one may come twice, with the same id."""
        return StreamingResponse(
            _events(service), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )


async def _events(service: Service) -> AsyncIterator[bytes]:
    """Ends when the process is asked to stop; a comment now and then shows that the connection lives."""
    async with service.live.listen(STREAM) as messages:
        yield b": listening\n\n"
        quiet = 0
        while not service.closing.is_set():
            message = await messages.next(BEAT_SECONDS)
            if message is not None:
                event = orjson.loads(message)
                yield f"id: {event['id']}\nevent: {event['type']}\ndata: {message}\n\n".encode()
                continue
            quiet += 1
            if quiet % BEATS == 0:
                yield b": still here\n\n"
