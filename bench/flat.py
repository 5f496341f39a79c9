"""Memory of the monitor's worker while it folds and archives many predictions out of Kafka: its peak, and whether it
grows. `MUNIMENT_BENCH_PREDICTIONS` says how many; 100 million take some minutes and 25 GB of disk."""

import asyncio
import os
import time
from collections.abc import Mapping

import numpy as np
import psutil

from bench import given
from bench.line import Line
from bench.stack import Stack
from bench.windows import DISTINCT, PUBLISHED_AT_ONCE, record
from devstack import processes
from services.monitor.archive import CONSUMER as ARCHIVE
from services.monitor.service import DEFINITION
from services.monitor.worker.measuring import CONSUMER
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.log.records import Outgoing, TopicPartition
from shared.runtime.service import Service
from shared.runtime.wiring import ports

PREDICTIONS = int(os.environ.get("MUNIMENT_BENCH_PREDICTIONS", "10000000"))
MIB = 2**20
MOST_GROWTH = 25.0
"""MiB in ten million predictions over the second half: the sawtooth of an allocator that gives memory back late."""

AHEAD = 2_000
"""Records that may wait for the worker, so that it always has work and Kafka's cache holds what it reads."""

LOOK_SECONDS = 0.5
STALLED_SECONDS = 300.0
CONSUMERS = (CONSUMER, ARCHIVE)


async def measure(stack: Stack) -> list[Line]:
    bodies = [batches.write(given.table(seed)) for seed in range(DISTINCT)]
    total = max(PREDICTIONS // given.ROWS, 1)
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
        stack.process("worker", ["-m", "services.monitor", "worker"], more={"MUNIMENT_NATIVE_FOLD": "true"})
        pid = processes.running(stack.folder, "worker")
        assert pid is not None
        start = time.perf_counter()
        done, sizes = await _sampled(service, psutil.Process(pid), bodies, total)
        taken = time.perf_counter() - start
    half = len(done) // 2
    growth = float(np.polyfit(done[half:], sizes[half:], 1)[0]) * 10_000_000 / given.ROWS / MIB
    figures = f"{total * given.ROWS:,} predictions in {taken:.0f} s, peak {max(sizes) / MIB:.0f} MiB, at half "
    figures += f"{sizes[half] / MIB:.0f} MiB, at the end {sizes[-1] / MIB:.0f} MiB: {growth:+.1f} MiB in ten million"
    return [Line("memory of the worker, fold and archive", MOST_GROWTH / max(growth, 0.1), "25 MiB", 1, figures)]


async def _sampled(
    service: Service, worker: psutil.Process, bodies: list[bytes], total: int
) -> tuple[list[int], list[int]]:
    """(records that both consumers have done, resident bytes) at moments until all are done. Raises TimeoutError."""
    sent, done, sizes = 0, [0], [worker.memory_info().rss]
    moved = time.monotonic()
    while done[-1] < total:
        while sent < total and sent - done[-1] < AHEAD:
            places = range(sent, min(sent + PUBLISHED_AT_ONCE, total))
            await service.log.publish(TOPIC_PREDICTIONS, _records(bodies, places))
            sent = places.stop
        await asyncio.sleep(LOOK_SECONDS)
        kept = await service.store.offsets()
        counted = min(_of(kept, one) for one in CONSUMERS)
        moved = time.monotonic() if counted > done[-1] else moved
        if time.monotonic() - moved > STALLED_SECONDS:
            raise TimeoutError(f"the worker has done {counted} of {total} records and does no more")
        done.append(counted)
        sizes.append(worker.memory_info().rss)
    return done, sizes


def _records(bodies: list[bytes], places: range) -> list[Outgoing]:
    return [record(bodies[place % DISTINCT]) for place in places]


def _of(kept: Mapping[tuple[str, TopicPartition], int], consumer: str) -> int:
    """Records of predictions that a consumer has done."""
    return sum(offset for (name, place), offset in kept.items() if (name, place.topic) == (consumer, TOPIC_PREDICTIONS))
