"""A Faust agent drives a consumer on a real broker: nothing lost, nothing twice, whatever Faust itself remembers."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.registry import GoalStated
from shared.log.kafka import KafkaLog
from shared.log.kafka_topics import ensure_topics
from shared.log.memory import MemoryStore
from shared.log.records import Outgoing
from shared.runtime.consumer import Consumer, Received
from shared.runtime.faust_transport import FaustConsumer
from shared.runtime.settings import Settings

pytestmark = pytest.mark.kafka
AT = datetime(2013, 4, 1, tzinfo=UTC)
STREAMS, LENGTH = 20, 10


def events() -> list[Outgoing]:
    said = GoalStated(goal="g", question="q", owner="o")
    return [
        encode(Event(uuid4().hex, "/muniment/registry", f"goal/{stream}", AT, sequence, "ana", said))
        for sequence in range(1, LENGTH + 1)
        for stream in range(STREAMS)
    ]


async def test_every_event_has_its_effect_once_through_restarts_and_a_rebuild(
    kafka_address: str, tmp_path: Path
) -> None:
    settings = Settings(kafka=kafka_address, kafka_partitions=2, consumer_retry_seconds=0.05)
    topic, group = f"test.{uuid4().hex}", f"test.{uuid4().hex}"
    await ensure_topics(kafka_address, settings, [topic])
    log, store, applied = KafkaLog(kafka_address, settings), MemoryStore("registry", []), Counter[str]()
    await log.start()
    failing, wanted, reached = 3, 0, asyncio.Event()

    async def handle(unit: object, received: list[Received]) -> None:
        nonlocal failing
        if failing:
            failing -= 1
            raise OSError("the store is away")
        applied.update(f"{item.event.subject}@{item.event.sequence}" for item in received)
        if sum(applied.values()) >= wanted:
            reached.set()

    async def until_done(rounds: int) -> None:
        nonlocal wanted
        wanted = rounds * STREAMS * LENGTH
        reached.clear()
        consumer = Consumer(group, (topic,), log, store, handle, settings)  # type: ignore[arg-type]
        task = asyncio.create_task(FaustConsumer(consumer, kafka_address, tmp_path).run())
        try:
            await asyncio.wait_for(reached.wait(), 60)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    try:
        records = events()
        await log.publish(topic, records[:100])
        waiting = asyncio.create_task(until_done(1))
        await log.publish(topic, records[100:])
        await waiting
        assert set(applied.values()) == {1}
        await store.clear_views(group)
        await until_done(2)
        assert set(applied.values()) == {2}
        assert len(applied) == STREAMS * LENGTH
    finally:
        await log.close()


async def test_views_that_are_rebuilt_while_an_agent_runs_are_filled_again_though_nothing_new_comes(
    kafka_address: str, tmp_path: Path
) -> None:
    """However many records there are: it takes no look around for each few of them."""
    settings = Settings(kafka=kafka_address, kafka_partitions=2, consumer_retry_seconds=0.05, consumer_max_records=5)
    topic, group = f"test.{uuid4().hex}", f"test.{uuid4().hex}"
    await ensure_topics(kafka_address, settings, [topic])
    log, store, applied = KafkaLog(kafka_address, settings), MemoryStore("registry", []), Counter[str]()
    await log.start()
    all_of = {rounds: asyncio.Event() for rounds in (1, 2)}

    async def handle(unit: object, received: list[Received]) -> None:
        applied.update(f"{item.event.subject}@{item.event.sequence}" for item in received)
        for rounds, reached in all_of.items():
            if sum(applied.values()) == rounds * STREAMS * LENGTH:
                reached.set()

    consumer = Consumer(group, (topic,), log, store, handle, settings, at_once=2)  # type: ignore[arg-type]
    task = asyncio.create_task(FaustConsumer(consumer, kafka_address, tmp_path).run())
    try:
        await log.publish(topic, events())
        await asyncio.wait_for(all_of[1].wait(), 60)
        await store.clear_views(group)
        await asyncio.wait_for(all_of[2].wait(), 60)
        assert set(applied.values()) == {2}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await log.close()
