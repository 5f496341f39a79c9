"""Filling the archive, finding single predictions, and what each takes up. `MUNIMENT_BENCH_MILLIONS` sets the scale.

Batches go through the archive's own consumer into PostgreSQL and files, without Kafka in between.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import given
from bench.line import Line
from bench.stack import Stack
from services.monitor.archive.files import Files
from services.monitor.archive.writing import Writing
from services.monitor.cases import Cases
from services.monitor.service import DEFINITION
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.records import Record
from shared.log.tables import Put
from shared.runtime.commands import new_id
from shared.runtime.consumer import Received
from shared.runtime.service import Service
from shared.runtime.wiring import ports

MILLIONS = int(os.environ.get("MUNIMENT_BENCH_MILLIONS", "5"))
ROWS = 1_000
AT_ONCE = 200
LOOKUPS = 2_000
MOST_SECONDS = 0.020
FILL = 1_000_000
START = datetime(2013, 1, 1, tzinfo=UTC)
SHAPES = 20
"""Different batches; each is written again and again under new ids and times."""


async def measure(stack: Stack) -> list[Line]:
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
        names, seconds, cpu = await _fill(service)
        mine, floor = await _lookups(service, names)
        size, index = await _sum(service)
    rows = MILLIONS * 1_000_000
    p50, p99 = (float(value) for value in np.quantile(mine, [0.5, 0.99]))
    bare50, bare99 = (float(value) for value in np.quantile(floor, [0.5, 0.99]))
    found = f"{p99 * 1e3:.1f} ms (median {p50 * 1e3:.1f}), {MILLIONS:,} million stored in {len(names):,} batches"
    bare = f"bare reads {bare50 * 1e3:.1f} ms, p99 {bare99 * 1e3:.1f}"
    each = f"{size / rows:.1f} bytes in files, {index / rows:.2f} in the index, per prediction of 10 features"
    rate = rows / seconds
    filling = f"{rate:,.0f}/s, {rows / cpu:,.0f} per second of CPU"
    return [
        Line("archive: one prediction by id, p99", MOST_SECONDS / p99, "20 ms", 1, found),
        Line("archive: the same, median", bare50 / p50, "one row by key and one row group", 0.5, bare),
        Line("archive: size against the log's Arrow", _logged() / (size / rows), "as it is stored", None, each),
        Line("archive: filling", rate / FILL, f"{FILL:,}/s", None, filling),
    ]


async def _fill(service: Service) -> tuple[list[str], float, float]:
    """(the batches' ids, seconds of the archive's own work, and of CPU in them)."""
    writing = Writing(Files.of(service.settings), service.settings)
    tables = [table(seed) for seed in range(SHAPES)]
    names: list[str] = []
    spent = used = 0.0
    for first in range(0, MILLIONS * 1_000_000 // ROWS, AT_ONCE):
        at = START + timedelta(minutes=first // AT_ONCE)
        received = [_received(tables[(first + n) % SHAPES], at) for n in range(AT_ONCE)]
        names += [item.event.id for item in received]
        started, cpu = time.perf_counter(), time.process_time()
        async with service.store.begin() as unit:
            await writing.handle(unit, received)
        spent, used = spent + time.perf_counter() - started, used + time.process_time() - cpu
        async with service.store.begin() as unit:
            await unit.apply([_batch(item) for item in received])
    return names, spent, used


async def _lookups(service: Service, names: Sequence[str]) -> tuple[list[float], list[float]]:
    """Seconds per prediction found, and per bare read of as much: one row by its key, and one row group of a file."""
    cases, rng = Cases.of(service), np.random.default_rng(1)
    paths = sorted((service.settings.data_dir / "archive").rglob("*.parquet"))
    mine: list[float] = []
    floor: list[float] = []
    for place, row in zip(rng.integers(len(names), size=LOOKUPS), rng.integers(ROWS, size=LOOKUPS), strict=True):
        started = time.perf_counter()
        case = await cases.find(batches.prediction_id(names[place], int(row)))
        mine.append(time.perf_counter() - started)
        assert case.row == row
        path = paths[int(rng.integers(len(paths)))]
        started = time.perf_counter()
        await service.store.get("batches", names[int(rng.integers(len(names)))])
        await asyncio.to_thread(_group, path, int(rng.integers(10)))
        floor.append(time.perf_counter() - started)
    return mine, floor


def _group(path: Path, number: int) -> None:
    with pq.ParquetFile(path) as file:
        file.read_row_group(number, use_threads=False)


async def _sum(service: Service) -> tuple[int, int]:
    """(bytes of files, bytes of the index in the store)."""
    files = sum(path.stat().st_size for path in (service.settings.data_dir / "archive").rglob("*.parquet"))
    connection = await asyncpg.connect(service.settings.postgres)
    try:
        index = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'monitor' AND c.relname = ANY($1)",
            ["view_archive_index", "view_archive_blocks", "view_archive_young", "view_batches"],
        )
    finally:
        await connection.close()
    return files, int(index or 0)


def table(seed: int) -> pa.RecordBatch:
    """1,000 predictions of ten features as real ones are: whole numbers, decimals of two digits, and categories."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {"at": pa.array([START] * ROWS, batches.TIMESTAMP)}
    for number in range(4):
        columns[f"{batches.FEATURE}whole{number}"] = pa.array(rng.integers(0, 2_000, ROWS))
        columns[f"{batches.FEATURE}decimal{number}"] = pa.array(rng.normal(10, 5, ROWS).round(2))
    for number, kinds in enumerate((16, 3)):
        columns[f"{batches.FEATURE}kind{number}"] = pa.array([f"K{n}" for n in rng.integers(0, kinds, ROWS)])
    return pa.record_batch(columns | {batches.OUTPUT + "probability": pa.array(rng.uniform(size=ROWS))})


def _received(columns: pa.RecordBatch, at: datetime) -> Received:
    place = columns.schema.get_field_index("at")
    times = pa.array([int(at.timestamp() * 1e6) + n * 60_000 for n in range(ROWS)], pa.int64()).view(batches.TIMESTAMP)
    value = batches.write(columns.set_column(place, "at", times))
    data = PredictionLogged(deployment=given.NAME, model=given.NAME, version=1, rows=ROWS, start=at, end=at)
    name = new_id()
    event = Event(name, "/muniment/monitor", f"batch/{name}", at, 0, "bench", data, recorded=at, table=value)
    return Received(event, Record(TOPIC_PREDICTIONS, 0, 0, event.subject, (), value, at))


def _batch(item: Received) -> Put:
    named = {"batch": item.event.id, "deployment": given.NAME, "model": given.NAME, "version": 1}
    row = {"topic": TOPIC_PREDICTIONS, "partition": 0, "offset": 0, "rows": ROWS, "client_ids": False}
    return Put("batches", named | row | {"start": item.event.time, "end": item.event.time})


def _logged() -> float:
    """Bytes per prediction of a batch as the log keeps it."""
    return len(batches.write(table(0))) / ROWS
