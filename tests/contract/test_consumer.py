"""The consumer loop over every pair of store and log: at least once delivered, exactly once done."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.registry import GoalStated, ModelRegistered
from shared.log.log import EventLog
from shared.log.records import Outgoing, TopicPartition
from shared.log.store import BeingFilled, Store, UnitOfWork
from shared.log.tables import Put, Table
from shared.runtime import consumer as consuming
from shared.runtime.commands import new_id
from shared.runtime.consumer import FILLED, Consumer, NotYet, Received
from shared.runtime.relay import Relay
from shared.runtime.replay import replay_dead_letters
from shared.runtime.settings import Settings
from tests.contract.conftest import LogFactory, StoreFactory

AT = datetime(2013, 4, 1, 12, 30, tzinfo=UTC)
SECONDS = 60.0
COUNTS = Table("counts", ("subject",), {"subject": "text", "count": "integer", "questions": "json"})
SETTINGS = Settings(consumer_retry_seconds=0.05, consumer_poll_seconds=0.2)


async def counting(unit: UnitOfWork, received: Sequence[Received]) -> None:
    """Counts events per subject; an event handled twice would show."""
    for item in received:
        event = item.event
        assert isinstance(event.data, GoalStated)
        row = await unit.get("counts", event.subject) or {"count": 0, "questions": []}
        questions = [*row["questions"], event.data.question]
        await unit.apply([Put("counts", {"subject": event.subject, "count": row["count"] + 1, "questions": questions})])


@dataclass
class Bench:
    """One store and one log, and a topic of this test alone. `published`: how many records went to it."""

    store: Store
    other: Store
    log: EventLog
    topic: str
    published: int = 0
    sequences: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The consumer group; one of its own, because a broker is slow to forget who left a group."""
        return f"registry.{self.topic}"

    @property
    def place(self) -> TopicPartition:
        return TopicPartition(self.topic, 0)

    def event(self, subject: str) -> Event:
        """The next event of a stream; its question is its sequence."""
        sequence = self.sequences[subject] = self.sequences.get(subject, 0) + 1
        data = GoalStated(goal=subject, question=str(sequence), owner="ana")
        return Event(new_id(), "/muniment/registry", subject, AT, sequence, "ana", data, recorded=AT)

    async def publish(self, *events: Event | Outgoing) -> None:
        records = [encode(event) if isinstance(event, Event) else event for event in events]
        await self.log.publish(self.topic, records)
        self.published += len(records)

    def consumer(self, handle: Any = counting, store: Store | None = None) -> Consumer:
        return Consumer(self.name, (self.topic,), self.log, store or self.store, handle, SETTINGS)

    async def counts(self) -> dict[str, int]:
        rows = [await self.store.get("counts", subject) for subject in self.sequences]
        return {row["subject"]: row["count"] for row in rows if row is not None}

    async def consumed(self, consumer: Consumer) -> None:
        """Consume until every record published so far has been dealt with."""
        async with running(consumer):
            await self.at_end()

    async def at_end(self) -> None:
        """Wait for a consumer to get through: a last event of a stream of its own shows it."""
        last = self.event(f"goal/last-{uuid4()}")
        await self.publish(last)
        del self.sequences[last.subject]
        assert await self.store.wait_seen(last.id, SECONDS)

    async def letters(self) -> list[tuple[str, int]]:
        async with self.store.begin() as unit:
            return [(letter.record.key, letter.record.offset) for letter in await unit.dead_letters(self.name)]


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(consumer.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def parked(bench: Bench, count: int) -> bool:
    return len(await bench.letters()) == count


@pytest.fixture
async def bench(pair_factories: tuple[StoreFactory, LogFactory], topic: str) -> Bench:
    make_store, make_log = pair_factories
    store = await make_store([COUNTS])
    other = await make_store([COUNTS]) if hasattr(store, "close") and not hasattr(store, "committed") else store
    return Bench(store, other, await make_log(topic), topic)


async def test_events_have_their_effect_in_order(bench: Bench):
    await bench.publish(*(bench.event(f"goal/{number % 7}") for number in range(100)))
    await bench.consumed(bench.consumer())
    assert sum((await bench.counts()).values()) == 100
    row = await bench.store.get("counts", "goal/3")
    assert row is not None
    assert row["questions"] == [str(number) for number in range(1, row["count"] + 1)]
    assert await bench.consumer().lag() == 0
    assert await bench.letters() == []


async def test_the_same_batch_delivered_twice_has_one_effect(bench: Bench):
    batch = [bench.event("goal/a"), bench.event("goal/b"), bench.event("goal/a")]
    await bench.publish(*batch, *batch)
    await bench.consumed(bench.consumer())
    await bench.publish(*batch)
    await bench.consumed(bench.consumer())
    assert await bench.counts() == {"goal/a": 2, "goal/b": 1}
    assert await bench.letters() == []


async def test_a_consumer_killed_between_effect_and_commit_leaves_nothing_behind(bench: Bench):
    await bench.publish(bench.event("goal/a"), bench.event("goal/a"))
    reached = asyncio.Event()

    async def dying(unit: UnitOfWork, received: Sequence[Received]) -> None:
        await counting(unit, received)
        reached.set()
        await asyncio.Event().wait()

    async with running(bench.consumer(dying)) as task:
        await asyncio.wait_for(reached.wait(), SECONDS)
        task.cancel()
    assert await bench.counts() == {}
    await bench.consumed(bench.consumer(store=bench.other))
    assert await bench.counts() == {"goal/a": 2}


async def test_consumers_wait_while_a_rebuild_fills_the_views(bench: Bench):
    """What was known before is marked no second time; afterwards the consumer goes on where the rebuild stands."""
    before, after = bench.event("goal/a"), bench.event("goal/a")
    await bench.publish(before, after)
    filler, waiting = bench.consumer(), bench.consumer(store=bench.other)
    filler.share = {bench.place: 1}
    async with bench.store.filling():
        async with running(waiting), running(filler):
            assert await bench.store.wait_seen(after.id, SECONDS)
            assert not await bench.store.wait_seen(before.id, 0)
            await until(lambda: _is(waiting.problem == FILLED))
        with pytest.raises(BeingFilled):
            await waiting.catch_up(bench.place, await bench.log.read(bench.place, 0))
    assert await bench.counts() == {"goal/a": 2}
    await bench.publish(bench.event("goal/a"))
    await bench.consumed(waiting)
    assert await bench.counts() == {"goal/a": 3}


async def _is(condition: bool) -> bool:
    return condition


async def test_a_stale_owner_is_fenced(bench: Bench):
    """The old owner stops short while it handles a batch; a new one does it; what the old one did is not kept."""
    await bench.publish(bench.event("goal/a"))
    reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(unit: UnitOfWork, received: Sequence[Received]) -> None:
        reached.set()
        await may_go_on.wait()
        await counting(unit, received)

    old, new = bench.consumer(slow), bench.consumer(store=bench.other)
    claims = await bench.store.claim(old.name, [bench.place])
    await old._assigned([bench.place])
    record = await bench.log.read(bench.place, 0)
    stale = asyncio.create_task(old.catch_up(bench.place, record))
    await asyncio.wait_for(reached.wait(), SECONDS)
    assert claims[bench.place].next_offset == 0
    await bench.consumed(new)
    may_go_on.set()
    (error,) = await asyncio.gather(stale, return_exceptions=True)
    assert type(error).__name__ == "Fenced"
    assert await bench.counts() == {"goal/a": 1}


async def test_a_poison_event_stops_only_its_key(bench: Bench):
    poisoned = True

    async def picky(unit: UnitOfWork, received: Sequence[Received]) -> None:
        await counting(unit, received)
        if poisoned and any(item.event.subject == "goal/a" and item.event.sequence == 2 for item in received):
            raise ZeroDivisionError("poison")

    names = ["goal/a", "goal/b", "goal/a", "goal/b", "goal/a", "goal/c"]
    consumer = bench.consumer(picky)
    await bench.publish(*map(bench.event, names))
    await bench.consumed(consumer)
    assert await bench.counts() == {"goal/a": 1, "goal/b": 2, "goal/c": 1}
    assert await bench.letters() == [("goal/a", 2), ("goal/a", 4)]
    async with bench.store.begin() as unit:
        first, second = await unit.dead_letters()
    assert "poison" in first.reason
    assert "waits" in second.reason
    assert await replay_dead_letters(consumer, 100) == (0, 2)

    poisoned = False
    assert await replay_dead_letters(consumer, 100) == (2, 0)
    assert await bench.letters() == []
    await bench.publish(bench.event("goal/a"))
    await bench.consumed(consumer)
    assert await bench.counts() == {"goal/a": 4, "goal/b": 2, "goal/c": 1}
    row = await bench.store.get("counts", "goal/a")
    assert row is not None
    assert row["questions"] == ["1", "2", "3", "4"]


async def test_a_key_goes_on_after_its_letters_were_replayed_elsewhere(bench: Bench):
    """The replay may run in another process than the consumer that parked."""
    fixed = False

    async def picky(unit: UnitOfWork, received: Sequence[Received]) -> None:
        if not fixed and any(item.event.subject == "goal/a" for item in received):
            raise ZeroDivisionError("poison")
        await counting(unit, received)

    await bench.publish(bench.event("goal/a"))
    async with running(bench.consumer(picky)):
        await bench.at_end()
        assert len(await bench.letters()) == 1
        fixed = True
        assert await replay_dead_letters(bench.consumer(picky, bench.other), 100) == (1, 0)
        await bench.publish(bench.event("goal/a"))
        await bench.at_end()
    assert await bench.letters() == []
    assert await bench.counts() == {"goal/a": 2}


async def test_what_is_no_event_is_parked_whole(bench: Bench):
    good = bench.event("goal/a")
    torn = replace(encode(good), key="goal/x", value=b'{"torn')
    alien = Outgoing("goal/y", (("ce_type", b"Nonsense\xff"), ("other", b"\x00")), b"\x00\xff")
    await bench.publish(torn, alien, good)
    await bench.consumed(bench.consumer())
    assert await bench.counts() == {"goal/a": 1}
    async with bench.store.begin() as unit:
        kept = [letter.record for letter in await unit.dead_letters()]
    assert [(it.key, it.headers, it.value) for it in kept] == [(it.key, it.headers, it.value) for it in (torn, alien)]


async def test_a_value_that_fits_no_column_is_poison_and_not_an_outage(bench: Bench):
    async def wrong(unit: UnitOfWork, received: Sequence[Received]) -> None:
        for item in received:
            if item.event.subject == "goal/a":
                await unit.apply([Put("counts", {"subject": "a", "colour": "red"})])
        await counting(unit, received)

    await bench.publish(bench.event("goal/a"), bench.event("goal/b"))
    await bench.consumed(bench.consumer(wrong))
    assert await bench.letters() == [("goal/a", 0)]
    assert await bench.counts() == {"goal/b": 1}


async def test_only_the_types_it_asks_for_reach_a_handler(bench: Bench):
    first, second = bench.event("goal/a"), bench.event("goal/a")
    other = replace(bench.event("model/m"), data=ModelRegistered(model="m", owner="ana", description=""))
    unread = replace(encode(other), value=b"no payload at all")
    await bench.publish(first, other, unread, second)
    seen: list[str] = []

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        seen.extend(item.event.id for item in received)

    for together in (False, True):
        seen.clear()
        types = frozenset({"GoalStated"})
        consumer = dataclasses.replace(
            bench.consumer(handle), name=f"{bench.name}.{together}", types=types, together=together
        )
        await bench.consumed(consumer)
        assert seen[:2] == [first.id, second.id]
        assert other.id not in seen
        assert await consumer.lag() == 0
        async with bench.store.begin() as unit:
            assert await unit.dead_letters(consumer.name) == []


async def test_a_letter_of_a_type_that_is_no_longer_asked_for_is_done_with(bench: Bench):
    async def failing(unit: UnitOfWork, received: Sequence[Received]) -> None:
        raise ValueError("no")

    consumer = bench.consumer(failing)
    await bench.publish(bench.event("goal/a"))
    async with running(consumer):
        await until(lambda: parked(bench, 1))
    consumer = dataclasses.replace(bench.consumer(failing), types=frozenset({"ModelRegistered"}))
    assert await replay_dead_letters(consumer, 10) == (1, 0)
    assert await bench.letters() == []


async def test_a_gap_in_a_stream_is_parked(bench: Bench):
    first, _lost, third, fourth = (bench.event("goal/a") for _ in range(4))
    await bench.publish(first, third, bench.event("goal/b"), fourth)
    await bench.consumed(bench.consumer())
    assert await bench.counts() == {"goal/a": 1, "goal/b": 1}
    assert await bench.letters() == [("goal/a", 1), ("goal/a", 3)]


async def test_a_gap_is_not_replayed_over_and_closes_once_the_missing_event_came(bench: Bench):
    first, lost, third, fourth = (bench.event("goal/a") for _ in range(4))
    await bench.publish(first, third, fourth)
    await bench.consumed(bench.consumer())
    consumer = bench.consumer()
    assert await replay_dead_letters(consumer, 100) == (0, 2)
    await bench.publish(lost)
    await bench.consumed(bench.consumer())
    assert await replay_dead_letters(consumer, 100) == (3, 0)
    assert await bench.counts() == {"goal/a": 4}


async def test_an_offset_out_of_range_is_an_alarm_and_never_a_reset(bench: Bench):
    consumer = bench.consumer()
    claim = (await bench.store.claim(consumer.name, [bench.place]))[bench.place]
    async with bench.store.begin() as unit:
        await unit.advance(consumer.name, {claim: 100})
    await bench.publish(bench.event("goal/a"))

    async def alarmed() -> bool:
        return consumer.problem is not None and "offset 100" in consumer.problem

    async with running(consumer):
        await until(alarmed)
    assert await bench.store.offsets() == {(consumer.name, bench.place): 100}
    assert await bench.counts() == {}


async def test_what_is_not_yet_possible_is_tried_again(bench: Bench):
    ready = False
    tried = asyncio.Event()

    async def waiting(unit: UnitOfWork, received: Sequence[Received]) -> None:
        tried.set()
        if not ready:
            raise NotYet("the other topic is behind")
        await counting(unit, received)

    await bench.publish(bench.event("goal/a"))
    async with running(bench.consumer(waiting)):
        await asyncio.wait_for(tried.wait(), SECONDS)
        assert await bench.counts() == {}
        ready = True
        await bench.at_end()
    assert await bench.counts() == {"goal/a": 1}
    assert await bench.letters() == []


async def test_a_rebuild_ends_with_the_same_rows(bench: Bench):
    await bench.publish(*(bench.event(f"goal/{number % 5}") for number in range(40)))
    await bench.consumed(bench.consumer())
    before = await bench.counts()
    await bench.store.clear_views(bench.name)
    assert await bench.counts() == {}
    await bench.consumed(bench.consumer())
    assert await bench.counts() == before


async def test_a_rebuild_in_large_units_parks_and_waits_as_any(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consuming, "POLLED_TOGETHER", 3)
    monkeypatch.setattr(consuming, "REFILLED_TOGETHER", 7)
    early = 3

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        nonlocal early
        subjects = {item.event.subject for item in received}
        if "goal/bad" in subjects:
            raise ValueError("a fold that fails")
        if "goal/2" in subjects and early:
            early -= 1
            raise NotYet("the other topic is behind")
        await counting(unit, received)

    bad = bench.event("goal/bad")
    events = [bench.event(f"goal/{number % 5}") for number in range(40)]
    await bench.publish(*events[:20], bad, *events[20:])
    consumer = dataclasses.replace(bench.consumer(handle), together=True, share={bench.place: 0})
    await bench.consumed(consumer)
    assert await bench.counts() == {f"goal/{number}": 8 for number in range(5)}
    row = await bench.store.get("counts", "goal/2")
    assert row is not None
    assert row["questions"] == [str(number) for number in range(1, 9)]
    assert await bench.letters() == [("goal/bad", 20)]
    assert early == 0


async def test_an_idle_consumer_fills_views_that_were_emptied_and_left(bench: Bench):
    """As where a rebuild was killed: no record comes at which it would be fenced."""
    await bench.publish(*(bench.event(f"goal/{number % 5}") for number in range(40)))
    consumer = bench.consumer()
    async with running(consumer):
        await bench.at_end()
        before = await bench.counts()
        await bench.store.clear_views(bench.name)
        await consumer.lag()  # as readiness asks once a second
        await until(lambda: _same(bench, before))


async def _same(bench: Bench, counts: dict[str, int]) -> bool:
    return await bench.counts() == counts


async def test_a_relay_that_dies_before_it_remembers_has_no_double_effect(bench: Bench):
    """It publishes again what it had published; consumers know streams by sequence."""
    own = "muniment.registry"
    subject = f"goal/{uuid4()}"
    relay = Relay(bench.store, bench.log, [own])
    whole = bench.consumer()

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        await whole.handle(unit, [item for item in received if item.event.subject == subject])

    consumer = dataclasses.replace(whole, topics=(own,), handle=handle)  # other tests of this broker write there, too

    async def append(expected: int) -> Event:
        data = GoalStated(goal=subject, question=str(expected + 1), owner="ana")
        async with bench.store.begin() as unit:
            events = [Event(new_id(), "/muniment/registry", subject, AT, 0, "ana", data)]
            return (await unit.append(subject, expected, events))[0]

    for expected in range(3):
        await append(expected)
    assert await relay.once() == 3
    await bench.store.set_relayed(own, 1)  # it died after publishing, and remembers only the first
    assert await relay.once() == 2
    last = await append(3)
    assert await relay.once() == 1
    async with running(consumer):
        assert await bench.store.wait_seen(last.id, SECONDS)
    row = await bench.store.get("counts", subject)
    assert row is not None
    assert row["questions"] == ["1", "2", "3", "4"]
    assert await bench.letters() == []


async def test_what_went_straight_to_the_log_can_be_waited_for(bench: Bench):
    """It has no sequence, and is seen all the same, once its rows are there."""
    direct = replace(bench.event("goal/direct"), sequence=0)
    await bench.publish(direct)
    async with running(bench.consumer()):
        assert await bench.store.wait_seen(direct.id, SECONDS)
    assert await bench.counts() == {"goal/direct": 1}
