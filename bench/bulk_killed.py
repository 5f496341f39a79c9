"""A million predictions flagged by one query on Kafka, PostgreSQL and Valkey, by workers of which two are killed with
SIGKILL while they are at it: seconds from the call until the views count them all, and how often the log flags each."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from httpx import AsyncClient, TransportError

from bench.line import Line
from bench.stack import Stack
from devstack import processes
from services.feedback.service import DEFINITION
from shared.events import batches
from shared.events.codec import decode
from shared.events.feedback import PredictionsFlagged
from shared.log.kafka_topics import ensure_topics
from shared.log.log import EventLog
from shared.runtime.predictions import PredictionWriter, Target, with_times
from shared.runtime.service import Service
from shared.runtime.wiring import ports

ROWS, BATCH, FEATURES = 1_000_000, 10_000, 10
WANTED_SECONDS, WAIT_SECONDS = 60.0, 300.0
KILLED_AT = (250_000, 600_000)
"""Predictions looked at when the first and the second worker die."""
AT = datetime(2013, 7, 3, tzinfo=UTC)
TOPICS = ("muniment.predictions", "muniment.feedback")


async def measure(stack: Stack) -> list[Line]:
    """One line."""
    await ensure_topics(stack.settings.kafka, stack.settings, TOPICS)
    port = stack.process("api", ["-m", "services.feedback", "api"])
    async with (
        ports(DEFINITION, stack.settings) as service,
        AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        names = await _predictions(service)
        stack.process("worker 0", ["-m", "services.feedback", "worker"])
        await _until(client, "/v1/rates?deployment=d", lambda told: told["predictions"] == ROWS)
        used = -sum(map(stack.cpu, ("api", "worker 0")))
        start = time.perf_counter()
        asked = (await client.post("/v1/flags:bulk", json={"category": "missed", "query": {"deployment": "d"}})).json()
        for number, rows in enumerate(KILLED_AT):
            await _until(client, asked["job"], lambda told, rows=rows: told["looked"] >= rows)
            used += stack.cpu(f"worker {number}")
            _kill(stack, f"worker {number}")
            stack.process(f"worker {number + 1}", ["-m", "services.feedback", "worker"])
        done = await _until(client, asked["job"], lambda told: told["state"] in ("completed", "failed"))
        [flag] = done["flags"].values()
        await _until(client, f"/v1/flags/{flag}", lambda told: told.get("predictions") == ROWS)
        seconds = time.perf_counter() - start
        used += sum(map(stack.cpu, ("api", f"worker {len(KILLED_AT)}")))
        left_out, twice = await _counted(service.log, names)
    assert (done["flagged"], left_out, twice) == (ROWS, 0, 0), (done, left_out, twice)
    figures = f"{ROWS:,} in {seconds:.1f} s, two workers killed on the way, each flagged once"
    figures += f"; {used / ROWS * 1e6:.1f} us CPU a prediction, PostgreSQL's and Kafka's not counted"
    return [Line("bulk whose workers are killed", WANTED_SECONDS / seconds, "60 s", 1.0, figures)]


async def _predictions(service: Service) -> list[str]:
    writer = PredictionWriter("monitor", service.log, service.settings)
    drawn = np.random.default_rng(1)
    columns = {f"feature.x{place}": pa.array(drawn.normal(size=BATCH)) for place in range(FEATURES)}
    batch = with_times(pa.record_batch(columns | {"output.p": pa.array(drawn.uniform(size=BATCH))}), AT)
    names = [f"01890a5d-ac96-774b-bcce-{place:012x}" for place in range(ROWS // BATCH)]
    for name in names:
        await writer.written(Target("d", "m", 1), batch, batches.write(batch), "bench", name)
    return names


def _kill(stack: Stack, name: str) -> None:
    pid = processes.running(stack.folder, name)
    assert pid is not None, f"{name} has ended by itself"
    os.kill(pid, signal.SIGKILL)


async def flags_on(log: EventLog) -> AsyncIterator[pa.RecordBatch]:
    """The table (batch, row, ...) of each event that flags predictions. A relay that is killed before it has remembered
    what it published publishes that again (ADR 1): the same event, which every consumer takes once."""
    seen: set[str] = set()
    for place, bound in (await log.bounds(["muniment.feedback"])).items():
        offset = 0
        while offset < bound.end:
            for record in await log.read(place, offset, bound.end - offset):
                offset, event = record.offset + 1, decode(record)
                if isinstance(event.data, PredictionsFlagged) and event.table is not None and event.id not in seen:
                    seen.add(event.id)
                    yield batches.read(event.table)


async def _counted(log: EventLog, names: list[str]) -> tuple[int, int]:
    """(rows that no event of the log flags, rows that more than one flags)."""
    counts = {name: np.zeros(BATCH, np.int64) for name in names}
    async for table in flags_on(log):
        named, rows = table.column("batch"), table.column("row").to_numpy()
        codes = named.indices.to_numpy()
        for code, name in enumerate(named.dictionary.to_pylist()):
            np.add.at(counts[name], rows[codes == code], 1)
    every = np.concatenate(list(counts.values()))
    return int((every == 0).sum()), int((every > 1).sum())


async def _until(client: AsyncClient, path: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                answer = await client.get(path)
            except TransportError:  # the API is still on its way up
                answer = None
            if answer is not None and answer.status_code == 200 and enough(told := answer.json()):
                return told
            await asyncio.sleep(0.02)
