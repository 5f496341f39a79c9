"""kill -9 between a block's file and its transaction: nothing lost, nothing twice, and a file that is swept."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from services.monitor.archive import blocks
from services.monitor.archive.files import Files
from services.monitor.archive.reading import Archive
from services.monitor.archive.sweeping import Sweeping
from services.monitor.archive.writing import Writing
from services.monitor.projection import TABLES
from services.monitor.span import Span
from shared.events import batches
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_store import PostgresStore
from shared.log.records import TopicPartition
from shared.log.tables import Query
from shared.runtime.commands import CommandLoop, new_id
from shared.runtime.consumer import Consumer
from shared.runtime.live_memory import MemoryLive
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from tests.postgres_fixture import PostgresMaker

TOPIC = "muniment.predictions"
AT = datetime(2013, 4, 1, 12, tzinfo=UTC)
BATCHES, ROWS = 6, 50


def logged(number: int) -> Event:
    """A batch whose outputs tell its rows apart."""
    table = pa.record_batch(
        {
            "at": pa.array([AT + timedelta(seconds=number)] * ROWS, batches.TIMESTAMP),
            "feature.x": pa.array(np.arange(ROWS, dtype=np.float64)),
            "output.p": pa.array(np.arange(ROWS) + number * ROWS),
        }
    )
    data = PredictionLogged(deployment="late", model="late", version=1, rows=ROWS, start=AT, end=AT)
    name = new_id()
    return Event(name, "/muniment/monitor", f"batch/{name}", AT, 0, "ana", data, table=batches.write(table))


def consumer(log: PostgresLog, store: PostgresStore, settings: Settings) -> Consumer:
    handle = Writing(Files.of(settings), settings).handle
    return Consumer("monitor.archive", (TOPIC,), log, store, handle, settings, marks=False)


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder, archive_direct_rows=1, archive_orphan_seconds=0.0)


async def archive(dsn: str, schema: str, log_schema: str, folder: Path) -> None:
    """Archive what the log holds, and die right after the second block's file."""
    store, log = PostgresStore(dsn, schema, TABLES), PostgresLog(dsn, {}, log_schema)
    await store.setup()
    await log.setup()
    written, write = 0, Files.write

    def dying(self: Files, path: str, data: pa.Buffer) -> None:
        nonlocal written
        write(self, path, data)
        written += 1
        if written == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Files.write = dying  # type: ignore[method-assign]
    await _catch_up(consumer(log, store, settings_of(folder)), log)


async def _catch_up(one: Consumer, log: PostgresLog) -> None:
    for record in await log.read(TopicPartition(TOPIC, 0), 0, BATCHES):
        await one.catch_up(record.place, [record])


async def test_a_worker_killed_between_file_and_transaction(postgres: PostgresMaker, tmp_path: Path) -> None:
    log, store = await postgres.log(), await postgres.store(TABLES, "monitor")
    events = [logged(number) for number in range(BATCHES)]
    await log.publish(TOPIC, [encode(event) for event in events])
    code = (
        "import asyncio; from pathlib import Path; from tests.component.test_archive_killed import archive; "
        f"asyncio.run(archive({postgres.dsn!r}, {postgres.schema('monitor')!r}, {postgres.schema('log')!r}, "
        f"Path({str(tmp_path)!r})))"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)  # noqa: ASYNC221
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    settings = settings_of(tmp_path)
    files = Files.of(settings)
    assert len(list(files.paths())) == 2  # the second is named by nothing
    await _catch_up(consumer(log, store, settings), log)
    found = [piece.table async for piece in Archive(store, files).pieces(Span("late"))]
    outputs = [value for table in found for value in table["output.p"].to_pylist()]
    assert sorted(outputs) == list(range(BATCHES * ROWS))
    service = Service("monitor", settings, store, log, MemoryLive(), CommandLoop("monitor", store))
    await Sweeping(service, files).run()
    assert len(list(files.paths())) == BATCHES
    for number, event in enumerate(events):
        row = await Archive(store, files).row(event.id, 7)
        assert row is not None
        assert row["output.p"] == number * ROWS + 7
    assert {blocks.block_of(path) for path in files.paths()} == {
        row["block"] for row in await store.find(Query("archive_blocks"))
    }
