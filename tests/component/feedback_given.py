"""Predictions on the log, and feedback behind a real port, for tests of feedback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
from httpx import AsyncClient

from services.feedback.service import DEFINITION
from shared.events import batches
from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.runtime.commands import new_id
from shared.runtime.serving import serve
from tests.component.listening import SECONDS
from tests.support import System, running

AT = datetime(2013, 7, 3, tzinfo=UTC)


async def predictions(
    system: System,
    rows: int = 3,
    ids: list[str] | None = None,
    batch: str | None = None,
    version: int = 1,
    deployment: str = "d",
    at: datetime = AT,
    fallback: Literal["", "constant"] = "",
    **columns: Sequence[Any],
) -> str:
    """Publish a batch of predictions to the log; returns its id. `columns`: by name, `__` for the dot."""
    table = {"at": pa.array([at] * rows, batches.TIMESTAMP)}
    table |= {name.replace("__", "."): pa.array(values) for name, values in columns.items()}
    if ids:
        table["prediction_id"] = pa.array(ids)
    said = PredictionLogged(
        deployment=deployment,
        model="m",
        version=version,
        rows=rows,
        start=at,
        end=at,
        client_ids=ids is not None,
        fallback=fallback,
    )
    name = batch or new_id()
    event = Event(
        name, "/muniment/monitor", f"batch/{name}", at, 0, "ana", said, table=batches.write(pa.record_batch(table))
    )
    await system.log.publish("muniment.predictions", [encode(event)])
    return name


def flag(prediction_id: str, **more: object) -> dict:
    return {"prediction_id": prediction_id, "category": "missed", "severity": "high"} | more


async def stated(system: System, kind: str, topic: str = "muniment.feedback") -> list[Event]:
    """All events of a type that the log holds, in the order of partition and offset."""
    await system.settle()
    events: list[Event] = []
    for place, bound in sorted((await system.log.bounds([topic])).items()):
        events += [decode(record) for record in await system.log.read(place, 0, bound.end) if bound.end]
    return [event for event in events if event.type == kind]


@asynccontextmanager
async def serving(**changed: object) -> AsyncIterator[tuple[System, AsyncClient]]:
    """Feedback at work, and a client of it."""
    async with running(DEFINITION, port=0, max_wait_seconds=SECONDS, **changed) as system:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        parts = list(system.parts.values())
        ended = asyncio.create_task(serve(system.app, parts, system.settings, stop=stop, started=port.set_result))
        async with AsyncClient(base_url=f"http://127.0.0.1:{await port}", timeout=SECONDS) as client:
            yield system, client
        stop.set()
        assert await asyncio.wait_for(ended, SECONDS) == 0
