"""Two workers that share out the partitions count what one counts, whatever their pace, and whoever takes over."""

import asyncio
from typing import Any

import numpy as np
import pytest

from services.monitor.service import DEFINITION
from services.monitor.worker.measuring import CONSUMER
from services.monitor.worker.settling import windows_merged
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.log.records import TopicPartition
from shared.log.store import Fenced
from shared.log.tables import Query
from shared.runtime.consumer import Consumer
from tests.component.monitor_story import AT, DAY, arrow, monitoring, table
from tests.support import System

PARTITIONS = 2
BATCHES = 24


def worker(system: System) -> Consumer:
    """A worker's consumer of predictions, with a memory of its own."""
    return next(one for one in DEFINITION.consumers(system.services["monitor"]) if one.name == CONSUMER)


async def posted(system: System) -> None:
    for place in range(BATCHES):
        sent = table(40, AT + (place % 3) * DAY, seed=place)
        assert (await system.client.post("/v1/predictions", **arrow(sent))).status_code == 202


async def windows(system: System) -> list[Any]:
    """The windows, the partitions' states of each merged."""
    rows = await system.services["monitor"].store.find(Query("window_states", limit=1_000))
    starts = sorted({row["window_start"] for row in rows})
    return [windows_merged([row for row in rows if row["window_start"] == start]) for start in starts]


async def taken(consumer: Consumer, system: System, partition: int, steps: list[int]) -> None:
    """Apply a partition in portions of so many records."""
    place, offset = TopicPartition(TOPIC_PREDICTIONS, partition), 0
    for step in steps:
        records = await system.log.read(place, offset, step)
        if not records:
            return
        await consumer.catch_up(place, records)
        offset += len(records)
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(4))
async def test_two_workers_count_as_one_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found: list[list[Any]] = []
    for many in (False, True):
        async with monitoring(PARTITIONS) as system:
            await posted(system)
            first = worker(system)
            second = worker(system) if many else first
            steps = [rng.integers(1, 6, BATCHES).tolist() for _ in range(PARTITIONS)]
            await asyncio.gather(taken(first, system, 0, steps[0]), taken(second, system, 1, steps[1]))
            found.append(await windows(system))
    alone, both = found
    assert [row["predictions"] for row in both] == [BATCHES // 3 * 40] * 3
    assert [row["state"] for row in both] == [row["state"] for row in alone]


async def test_a_worker_that_takes_over_counts_nothing_twice() -> None:
    async with monitoring(PARTITIONS) as system:
        await posted(system)
        first, second = worker(system), worker(system)
        for partition in range(PARTITIONS):
            await taken(first, system, partition, [2])
        await taken(second, system, 0, [BATCHES])  # what the first has applied is skipped
        stale = await system.log.read(TopicPartition(TOPIC_PREDICTIONS, 0), 0, BATCHES)
        with pytest.raises(Fenced):
            await first.catch_up(TopicPartition(TOPIC_PREDICTIONS, 0), stale)
        await taken(first, system, 1, [BATCHES])
        assert sum(row["predictions"] for row in await windows(system)) == BATCHES * 40
