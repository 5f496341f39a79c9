"""Feedback on a real PostgreSQL, where one read of the log brings only so many bytes."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from httpx import ASGITransport, AsyncClient

from muniment.embedded.system import system
from services.feedback.service import DEFINITION
from services.feedback.worker.bulks import Bulks
from shared.events import batches
from shared.runtime.app import create_app
from shared.runtime.commands import new_id
from shared.runtime.predictions import PredictionWriter, Target, with_times
from shared.runtime.running import Running
from shared.runtime.settings import Settings

BATCHES, ROWS, FEATURES = 14, 10_000, 10
AT = datetime(2013, 7, 3, tzinfo=UTC)


async def logged(part: Running) -> str:
    """Predictions of more bytes than one read of the log brings; returns the id of the last batch."""
    writer = PredictionWriter("monitor", part.service.log, part.service.settings)
    drawn = np.random.default_rng(1)
    columns = {f"feature.x{place}": pa.array(drawn.normal(size=ROWS)) for place in range(FEATURES)}
    batch = with_times(pa.record_batch(columns | {"output.p": pa.array(np.arange(ROWS))}), AT)
    names = [new_id() for _ in range(BATCHES)]
    for name in names:
        await writer.written(Target("d", "m", 1), batch, batches.write(batch), "ana", name)
    return names[-1]


async def ended(client: AsyncClient, job: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            told = (await client.get(job)).json()
            if told["state"] in ("completed", "failed"):
                return told
            await asyncio.sleep(0.02)


async def test_a_bulk_over_more_than_one_read_of_the_log_brings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with system(settings, [DEFINITION]) as [part]:
        await part.start()
        transport = ASGITransport(create_app("test", [part], settings), client=("127.0.0.1", 1))
        async with AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            last = await logged(part)
            query = {"deployment": "d", "where": [{"column": "output.p", "op": "<", "value": 1_000}]}
            asked = await client.post("/v1/flags:bulk", json={"category": "missed", "query": query})
            done = await ended(client, asked.json()["job"])
            assert (done["state"], done["looked"], done["flagged"]) == ("completed", BATCHES * ROWS, BATCHES * 1_000)
            [flag] = done["flags"].values()
            listed = [f"{last}-{row}" for row in range(500, 1_500)]
            again = await client.post("/v1/flags:bulk", json={"category": "missed", "predictions": listed})
            assert (await ended(client, again.json()["job"]))["flagged"] == 500
            pages = (await client.get(f"/v1/flags/{flag}/predictions", params={"limit": 100})).json()["items"]
            assert sum(page["count"] for page in pages) == BATCHES * 1_000
            at_once = [await client.post("/v1/flags:bulk", json={"category": "odd", "query": query}) for _ in range(3)]
            await asyncio.gather(*(Bulks(part.service).run() for _ in range(3)))
            counts = [(await ended(client, one.json()["job"]))["flagged"] for one in at_once]
            assert sum(counts) == BATCHES * 1_000, counts
        await part.stop()
