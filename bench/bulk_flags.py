"""A million predictions flagged by one query, over HTTP, on the embedded PostgreSQL: until the job says so, and until
the views count every one of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import uvloop
from httpx import ASGITransport, AsyncClient

from bench.line import Line
from muniment.embedded.system import system
from services.feedback.service import DEFINITION
from shared.events import batches
from shared.runtime.app import create_app
from shared.runtime.predictions import PredictionWriter, Target, with_times
from shared.runtime.running import Running
from shared.runtime.settings import Settings

ROWS = 1_000_000
BATCH = 10_000
FEATURES = 10
WANTED_SECONDS = 60.0
WAIT_SECONDS = 180.0
AT = datetime(2013, 7, 3, tzinfo=UTC)


def alone() -> Iterator[Line]:
    """One line."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run(_line())


async def _line() -> Line:
    async with _feedback() as (part, client):
        await _predictions(part)
        await _until(client, "/v1/rates?deployment=d", lambda told: told["predictions"] == ROWS)
        start, cpu = time.perf_counter(), time.process_time()
        body = {
            "category": "missed",
            "severity": "high",
            "query": {"deployment": "d", "where": [{"column": "output.probability", "op": ">=", "value": 0.0}]},
        }
        asked = (await client.post("/v1/flags:bulk", json=body)).json()
        done = await _until(client, asked["job"], lambda told: told["state"] in ("completed", "failed"))
        job = time.perf_counter() - start
        [flag] = done["flags"].values()
        await _until(client, f"/v1/flags/{flag}", lambda told: told.get("predictions") == ROWS)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    assert done["flagged"] == ROWS, done
    figures = f"{ROWS:,} predictions of {FEATURES} features in {seconds:.1f} s, the job alone {job:.1f} s"
    figures += f"; {cpu / ROWS * 1e6:.1f} us CPU a prediction in the service"
    return Line("bulk of flags by a query", WANTED_SECONDS / seconds, "60 s", 1.0, figures)


@asynccontextmanager
async def _feedback() -> AsyncIterator[tuple[Running, AsyncClient]]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings(data_dir=Path(folder))
        async with system(settings, [DEFINITION]) as [part]:
            await part.start()
            app = create_app("bench", [part], settings)
            transport = ASGITransport(app, client=("127.0.0.1", 1))
            async with AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
                yield part, client
            await part.stop()


async def _predictions(part: Running) -> None:
    writer = PredictionWriter("monitor", part.service.log, part.service.settings)
    drawn = np.random.default_rng(1)
    columns = {f"feature.x{place}": pa.array(drawn.normal(size=BATCH)) for place in range(FEATURES)}
    columns |= {"output.probability": pa.array(drawn.uniform(size=BATCH))}
    batch = with_times(pa.record_batch(columns), AT)
    for place in range(ROWS // BATCH):
        name = f"01890a5d-ac96-774b-bcce-{place:012x}"
        await writer.written(Target("d", "m", 1), batch, batches.write(batch), "bench", name)


async def _until(client: AsyncClient, path: str, enough) -> dict:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            answer = await client.get(path)
            told = answer.json()
            if answer.status_code == 200 and enough(told):
                return told
            await asyncio.sleep(0.05)
