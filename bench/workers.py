"""Two workers on two partitions against one on one: each in a process of its own, on the same log.

Where broker, database and workers share few cores, two workers cannot take twice as much in a second. What a prediction
costs in CPU tells whether they get in each other's way.
"""

import asyncio
import os
import time

from bench import given
from bench.line import Line
from bench.stack import Stack
from bench.windows import record
from devstack import processes
from services.monitor.service import DEFINITION
from services.monitor.worker.measuring import CONSUMER
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.log.records import TopicPartition
from shared.runtime.service import Service
from shared.runtime.wiring import ports

LEAST = 1.7
DISTINCT = 50
BATCHES = 3_000
PUBLISHED_AT_ONCE = 50
WAIT_SECONDS = 280.0
LOOK_SECONDS = 0.05
PARTITIONS = 2


async def measure(stack: Stack) -> list[Line]:
    stack.settings = stack.settings.model_copy(update={"kafka_partitions": PARTITIONS})
    bodies = [batches.write(given.table(seed)) for seed in range(DISTINCT)]
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
        alone = await _round(stack, service, bodies, ["one"])
        both = await _round(stack, service, bodies, ["first", "second"])
    cores = os.cpu_count()
    figures = f"{both[0]:,.0f} predictions/s against {alone[0]:,.0f} on {cores} cores shared with broker and database"
    cpu = f"{both[1]:,.0f} against {alone[1]:,.0f} per second of the workers' CPU"
    return [
        Line("two workers", both[0] / alone[0], "one worker, predictions/s", LEAST, figures),
        Line("two workers", 2 * both[1] / alone[1], "one worker, if each had a core", LEAST, cpu),
    ]


async def _round(stack: Stack, service: Service, bodies: list[bytes], names: list[str]) -> tuple[float, float]:
    """Predictions per second, and per second of CPU, of workers that share out what waits for them."""
    for name in names:
        stack.process(name, ["-m", "services.monitor", "worker"])
    await asyncio.sleep(10)  # until both have their partitions
    before = [stack.cpu(name) for name in names]
    start = time.perf_counter()
    for first in range(0, BATCHES, PUBLISHED_AT_ONCE):
        chosen = range(first, first + PUBLISHED_AT_ONCE)
        await service.log.publish(TOPIC_PREDICTIONS, [record(bodies[place % DISTINCT]) for place in chosen])
    ends = {place: one.end for place, one in (await service.log.bounds((TOPIC_PREDICTIONS,))).items()}
    async with asyncio.timeout(WAIT_SECONDS):
        while not await _counted(service, ends):  # noqa: ASYNC110 (the commit tells nobody)
            await asyncio.sleep(LOOK_SECONDS)
    taken = time.perf_counter() - start
    used = sum(stack.cpu(name) for name in names) - sum(before)
    for name in names:
        processes.stop(stack.folder, name)
    rows = BATCHES * given.ROWS
    return rows / taken, rows / used


async def _counted(service: Service, ends: dict[TopicPartition, int]) -> bool:
    kept = await service.store.offsets()
    return all(kept.get((CONSUMER, place), 0) >= end for place, end in ends.items())
