"""Partitions at work at the same time: one that fails or waits keeps no other from its own end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.registry import GoalStated
from shared.log.memory import MemoryLog, MemoryStore
from shared.log.store import UnitOfWork
from shared.runtime.commands import new_id, now
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.settings import Settings

TOPIC = "muniment.registry"
SETTINGS = Settings(consumer_poll_seconds=0.02, consumer_retry_seconds=0.02)
PARTITIONS, GOALS = 4, 40

Handle = Callable[[UnitOfWork, Sequence[Received]], Awaitable[None]]


class Folding:
    """Goals over four partitions; `applied` counts each goal's events, `meanwhile` is what a test does in a handler."""

    def __init__(self, at_once: int) -> None:
        self.log, self.store = MemoryLog(PARTITIONS), MemoryStore("registry", ())
        self.applied = Counter[str]()
        self.partitions_at_work, self.most = 0, 0
        self.consumer = Consumer("c", (TOPIC,), self.log, self.store, self.handle, SETTINGS, at_once=at_once)

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        assert len({item.record.place for item in received}) == 1
        self.partitions_at_work += 1
        self.most = max(self.most, self.partitions_at_work)
        try:
            await self.meanwhile(unit, received)
        finally:
            self.partitions_at_work -= 1
        self.applied.update(item.event.subject for item in received)

    async def meanwhile(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        await asyncio.sleep(0)

    async def until_all_applied(self) -> None:
        payload = [GoalStated(goal=f"{number}", question="q?", owner="ada") for number in range(GOALS)]
        events = [Event(new_id(), "/muniment/registry", f"goal/{one.goal}", now(), 1, "ada", one) for one in payload]
        await self.log.publish(TOPIC, [encode(event) for event in events])
        task = asyncio.create_task(self.consumer.run())
        async with asyncio.timeout(60):
            await asyncio.gather(*(self.store.wait_seen(event.id, 60) for event in events))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await self.consumer.lag() == 0


async def test_so_many_partitions_are_at_work_at_once_and_no_more() -> None:
    folding = Folding(at_once=3)
    three = asyncio.Event()

    async def until_three(unit: UnitOfWork, received: Sequence[Received]) -> None:
        if folding.partitions_at_work == 3:
            three.set()
        await three.wait()

    folding.meanwhile = until_three  # type: ignore[method-assign]
    await folding.until_all_applied()
    assert folding.most == 3
    assert set(folding.applied.values()) == {1}


async def test_a_partition_that_is_interrupted_is_taken_up_again_and_the_others_have_gone_on() -> None:
    folding = Folding(at_once=4)
    broken = list(range(3))

    async def interrupted(unit: UnitOfWork, received: Sequence[Received]) -> None:
        if received[0].record.partition == 1 and broken:
            broken.pop()
            raise OSError("the store is away")

    folding.meanwhile = interrupted  # type: ignore[method-assign]
    await folding.until_all_applied()
    assert set(folding.applied.values()) == {1}
    assert not broken


async def test_a_partition_that_waits_lets_the_others_go_on() -> None:
    folding = Folding(at_once=2)
    others = asyncio.Event()

    async def waits(unit: UnitOfWork, received: Sequence[Received]) -> None:
        if received[0].record.partition == 1 and not others.is_set():
            raise NotYet("its data set is still on its way")
        if len(folding.applied) + len(received) >= GOALS // 2:
            others.set()

    folding.meanwhile = waits  # type: ignore[method-assign]
    await folding.until_all_applied()
    assert set(folding.applied.values()) == {1}
