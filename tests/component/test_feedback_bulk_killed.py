"""A bulk on a real Kafka whose worker is killed with SIGKILL, within a step and right after one: it goes on where it
stood, and each prediction is flagged once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from httpx import AsyncClient, TransportError

from bench.bulk_killed import flags_on
from devstack.kafka import KafkaBroker
from devstack.postgres import PostgresServer
from devstack.processes import free_port
from devstack.valkey import ValkeyServer
from services.feedback.service import DEFINITION
from services.feedback.worker import bulks
from shared.events import batches
from shared.events.feedback import BulkFlagAdvanced
from shared.log.kafka import KafkaLog
from shared.log.kafka_topics import ensure_topics
from shared.log.store import Store
from shared.runtime.commands import new_id
from shared.runtime.predictions import PredictionWriter, Target, with_times
from shared.runtime.settings import Settings
from shared.runtime.wiring import main, ports

pytestmark = pytest.mark.kafka

BATCHES, ROWS, STEP = 24, 250, 1_000
WANTED = BATCHES * ROWS
SECONDS = 120
AT = datetime(2013, 7, 3, tzinfo=UTC)
TOPICS = ("muniment.predictions", "muniment.feedback")


def worker(dies: str, after: int) -> None:
    """`python -m services.feedback worker` in small steps, which dies in the middle of step `after`, when its flags are
    appended and nothing is committed, or as soon as that step is committed."""
    bulks.MAX_ROWS = STEP
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done == after:
            os.kill(os.getpid(), signal.SIGKILL)

    command, step = bulks._Step.command, bulks.Bulks._step  # pyright: ignore[reportPrivateUsage]

    async def within(self: Any) -> Any:
        told = await command(self)
        if isinstance(told, bulks.Advance):
            count()
        return told

    async def behind(self: Any, name: str) -> bool:
        going = await step(self, name)
        if going:
            count()
        return going

    if dies == "within":
        bulks._Step.command = within  # pyright: ignore[reportPrivateUsage]
    elif dies == "behind":
        bulks.Bulks._step = behind  # pyright: ignore[reportPrivateUsage]
    sys.argv = ["feedback", "worker"]
    main(DEFINITION)


@dataclass(slots=True)
class Apart:
    """Feedback's API as a process, and what its workers need."""

    environment: dict[str, str]
    settings: Settings
    client: AsyncClient
    store: Store
    log: KafkaLog
    folder: Path

    @contextmanager
    def works(self, dies: str = "", after: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
        code = f"from tests.component.test_feedback_bulk_killed import worker; worker({dies!r}, {after})"
        with started([sys.executable, "-c", code], self.environment, self.folder / "worker.log") as process:
            yield process

    async def killed(self, dies: str, after: int) -> None:
        """A worker at work until it is dead."""
        with self.works(dies, after) as process:
            code = await asyncio.to_thread(process.wait, SECONDS)
        assert code == -signal.SIGKILL, (self.folder / "worker.log").read_text()[-4_000:]


@contextmanager
def started(command: list[str], environment: dict[str, str], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    own = {} if "MUNIMENT_PORT" in environment else {"MUNIMENT_PORT": str(free_port())}
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment | own)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def apart(folder: Path, kafka: str) -> AsyncIterator[Apart]:
    database, cache, port = PostgresServer(folder / "postgres"), ValkeyServer(folder / "valkey"), free_port()
    try:
        await asyncio.to_thread(database.start)
        await asyncio.to_thread(cache.start)
        named = {"MUNIMENT_KAFKA": kafka, "MUNIMENT_POSTGRES": database.dsn, "MUNIMENT_REDIS": cache.url}
        environment = os.environ | named | {"MUNIMENT_DATA_DIR": str(folder / "data"), "MUNIMENT_BULK_SECONDS": "0.05"}
        environment["MUNIMENT_KAFKA_SESSION_SECONDS"] = "3"  # so that who follows one that died need not wait long
        settings = Settings(kafka=kafka, postgres=database.dsn, redis=cache.url, data_dir=folder / "data")
        await ensure_topics(kafka, settings, TOPICS)
        command = [sys.executable, "-m", "services.feedback", "api"]
        with started(command, environment | {"MUNIMENT_PORT": str(port)}, folder / "api.log"):
            async with (
                ports(DEFINITION, settings) as service,
                AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client,
            ):
                assert isinstance(service.log, KafkaLog)
                yield Apart(environment, settings, client, service.store, service.log, folder)
    finally:
        cache.stop()
        database.stop()


async def logged(log: KafkaLog, settings: Settings) -> list[str]:
    """Predictions over all partitions; their ids."""
    writer = PredictionWriter("monitor", log, settings)
    batch = with_times(pa.record_batch({"output.p": pa.array([0.9] * ROWS)}), AT)
    names = [new_id() for _ in range(BATCHES)]
    for name in names:
        await writer.written(Target("d", "m", 1), batch, batches.write(batch), "ana", name)
    return [f"{name}-{row}" for name in names for row in range(ROWS)]


async def told(client: AsyncClient, path: str) -> dict[str, Any]:
    while True:
        try:
            answer = await client.get(path)
        except TransportError:  # the API is still on its way up
            await asyncio.sleep(0.05)
            continue
        assert answer.status_code == 200, answer.text
        return answer.json()


async def until(client: AsyncClient, path: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(SECONDS):
        while True:
            if enough(seen := await told(client, path)):
                return seen
            await asyncio.sleep(0.05)


async def flagged(log: KafkaLog) -> Counter[str]:
    """How often each prediction was flagged, as the log tells."""
    found = Counter[str]()
    async for table in flags_on(log):
        found.update(f"{row['batch']}-{row['row']}" for row in table.to_pylist())
    return found


async def test_each_prediction_is_flagged_once_whenever_the_worker_is_killed(
    own_broker: KafkaBroker, tmp_path: Path
) -> None:
    async with apart(tmp_path, own_broker.address) as system:
        ids = await logged(system.log, system.settings)
        await told(system.client, "/health/live")
        answer = await system.client.post("/v1/flags:bulk", json={"category": "missed", "query": {"deployment": "d"}})
        assert answer.status_code == 202, answer.text
        job, stood = answer.json()["job"], list[int]()
        for dies, after in (("within", 2), ("behind", 2)):
            await system.killed(dies, after)
            async with system.store.begin() as unit:
                said = await unit.load(f"bulk/{answer.json()['id']}", 0)
            stood.append(sum(isinstance(event.data, BulkFlagAdvanced) for event in said))
        with system.works():
            seen = await until(system.client, job, lambda told: told["state"] in ("completed", "failed"))
            assert (seen["state"], seen["looked"], seen["flagged"]) == ("completed", WANTED, WANTED)
            await until(system.client, "/v1/rates?deployment=d", lambda told: told["flagged"] == WANTED)
        assert stood == [1, 3]
        counts = await flagged(system.log)
        assert set(counts) == set(ids)
        assert set(counts.values()) == {1}
