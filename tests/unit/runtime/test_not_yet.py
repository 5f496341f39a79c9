"""A record that needs what another topic still has to bring."""

import asyncio
from collections.abc import Sequence

from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.registry import GoalStated
from shared.log.memory import MemoryLog, MemoryStore
from shared.log.store import UnitOfWork
from shared.runtime.commands import new_id, now
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.settings import Settings

TOPIC = "muniment.registry"


def event(goal: str) -> Event:
    payload = GoalStated(goal=goal, question="q?", owner="ada")
    return Event(new_id(), "/muniment/registry", f"goal/{goal}", now(), 1, "ada", payload)


class Folding:
    """A consumer that folds goals into a list, and waits for those that are missing."""

    def __init__(self, **settings: float) -> None:
        self.log, self.store = MemoryLog(), MemoryStore("registry", ())
        self.applied: list[str] = []
        self.missing: set[str] = set()
        self.asked = asyncio.Event()
        self.consumer = Consumer(
            "c", (TOPIC,), self.log, self.store, self.handle, Settings(consumer_poll_seconds=0.02, **settings)
        )

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        names = [item.event.data.goal for item in received if isinstance(item.event.data, GoalStated)]
        if self.missing & set(names):
            self.asked.set()
            raise NotYet("its data set is still on its way")
        self.applied += names

    async def until_caught_up(self) -> None:
        task = asyncio.create_task(self.consumer.run())
        while await self.consumer.lag():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_applied_when_that_has_come_and_nothing_twice():
    folding = Folding()
    folding.missing = {"b"}
    await folding.log.publish(TOPIC, [encode(event(name)) for name in "abc"])
    task = asyncio.create_task(folding.until_caught_up())
    await folding.asked.wait()
    while folding.applied != ["a"]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    folding.missing.clear()
    await asyncio.wait_for(task, 60)
    assert folding.applied == ["a", "b", "c"]
    assert await folding.store.waiting_dead_letters() == {}


async def test_it_is_parked_when_that_never_comes_and_others_go_on():
    folding = Folding(consumer_not_yet_seconds=0)
    folding.missing = {"b"}
    await folding.log.publish(TOPIC, [encode(event(name)) for name in "abc"])
    await asyncio.wait_for(folding.until_caught_up(), 60)
    assert folding.applied == ["a", "c"]
    async with folding.store.begin() as unit:
        (letter,) = await unit.dead_letters("c")
    assert letter.reason == "what it needs did not come: its data set is still on its way"
