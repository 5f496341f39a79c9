"""What every store must do with streams and its outbox: in memory and on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.events.registry import DatasetRegistered
from shared.log.store import Conflict, IdempotencyRecord
from shared.log.tables import Put
from shared.runtime.commands import new_id
from tests.contract.conftest import StoreFactory
from tests.contract.facts import AT, GOALS, PLACE, ROW, TOPIC, append, goal, load, timeless


async def test_a_stream_gives_back_what_was_appended(store_factory: StoreFactory):
    store = await store_factory()
    first, second = await append(store, "goal/warn", 0, goal(), goal(question="Why?"))
    third = (await append(store, "goal/warn", 2))[0]
    assert [event.sequence for event in (first, second, third)] == [1, 2, 3]
    assert timeless(*await load(store, "goal/warn")) == timeless(first, second, third)
    assert timeless(*await load(store, "goal/warn", after=2)) == timeless(third)
    assert await load(store, "goal/other") == []
    assert first.recorded is not None
    assert abs(first.recorded - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_an_append_behind_another_sequence_is_a_conflict(store_factory: StoreFactory, expected: int):
    store = await store_factory()
    await append(store, "goal/warn", 0)
    with pytest.raises(Conflict):
        await append(store, "goal/warn", expected)
    assert len(await load(store, "goal/warn")) == 1
    assert len(await store.outbox(TOPIC, 0, 10)) == 1


async def test_an_append_without_expectation_goes_behind_the_last(store_factory: StoreFactory):
    store = await store_factory()
    await append(store, "goal/warn", None)
    assert (await append(store, "goal/warn", None))[0].sequence == 2


async def test_a_unit_sees_its_own_appends_and_may_append_again(store_factory: StoreFactory):
    store = await store_factory()
    async with store.begin() as unit:
        await unit.append("goal/warn", 0, [goal()])
        assert [event.sequence for event in await unit.load("goal/warn")] == [1]
        await unit.append("goal/warn", 1, [goal()])
        assert unit.appended == {"goal/warn"}
    assert [event.sequence for event in await load(store, "goal/warn")] == [1, 2]


async def test_a_unit_that_fails_leaves_no_trace(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    claim = (await store.claim("views", [PLACE]))[PLACE]
    with pytest.raises(KeyError):  # noqa: PT012
        async with store.begin() as unit:
            await unit.append("goal/warn", 0, [goal()])
            await unit.apply([Put("goals", ROW)])
            await unit.advance("views", {claim: 5})
            await unit.keep_idempotency("k", IdempotencyRecord("d", 201, b"{}"))
            raise KeyError("boom")
    assert await load(store, "goal/warn") == []
    assert await store.outbox(TOPIC, 0, 10) == []
    assert await store.get("goals", "warn") is None
    assert (await store.offsets()) == {("views", PLACE): 0}
    async with store.begin() as unit:
        assert await unit.idempotency("k") is None


async def test_of_many_writers_with_one_expectation_one_wins(store_factory: StoreFactory):
    store = await store_factory()
    results = await asyncio.gather(*(append(store, "goal/warn", 0) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7
    assert len(await store.outbox(TOPIC, 0, 100)) == 1


async def test_the_outbox_holds_the_very_bytes_in_append_order(store_factory: StoreFactory):
    store = await store_factory()
    events = [*await append(store, "goal/a", 0, goal("goal/a"), goal("goal/a")), *await append(store, "goal/b", 0)]
    records = await store.outbox(TOPIC, 0, 10)
    assert [record.offset for record in records] == [0, 1, 2]
    assert [record.key for record in records] == ["goal/a", "goal/a", "goal/b"]
    decoded = [decode(record) for record in records]
    assert timeless(*decoded) == timeless(*events)
    assert [event.recorded for event in decoded] == [record.recorded for record in records]
    assert [(record.headers, record.value) for record in records] == [
        (encode(event).headers, encode(event).value) for event in decoded
    ]
    assert await store.outbox(TOPIC, 2, 10) == records[2:]
    assert await store.outbox(TOPIC, 0, 2) == records[:2]
    assert await store.outbox("muniment.joined", 0, 10) == []


async def test_record_times_never_run_backwards(store_factory: StoreFactory):
    store = await store_factory()
    await asyncio.gather(*(append(store, f"goal/{number}", 0) for number in range(20)))
    times = [record.recorded for record in await store.outbox(TOPIC, 0, 100)]
    assert len(times) == 20
    assert times == sorted(times)


async def test_no_reader_skips_a_position_that_commits_last(store_factory: StoreFactory):
    """Two units append at once and the first holds its transaction open: nothing behind it may show before it."""
    store = await store_factory()
    first_appended, first_may_commit = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with store.begin() as unit:
            await unit.append("goal/first", None, [goal("goal/first")])  # takes its place at once
            first_appended.set()
            await first_may_commit.wait()

    async def reader() -> list[tuple[int, str]]:
        read: list[tuple[int, str]] = []
        while len(read) < 2:
            position = read[-1][0] + 1 if read else 0
            read += [(record.offset, record.key) for record in await store.outbox(TOPIC, position, 1)]
            await asyncio.sleep(0)
        return read

    slow = asyncio.create_task(first())
    await first_appended.wait()
    reading = asyncio.create_task(reader())
    quick = asyncio.create_task(append(store, "goal/second", 0))
    await asyncio.wait([quick], timeout=0.2)  # long enough to commit, were it allowed to
    assert await store.outbox(TOPIC, 0, 10) == []
    first_may_commit.set()
    await asyncio.gather(slow, quick)
    assert await asyncio.wait_for(reading, 20) == [(0, "goal/first"), (1, "goal/second")]


async def test_a_position_given_back_is_taken_again(store_factory: StoreFactory):
    store = await store_factory()
    with pytest.raises(KeyError):  # noqa: PT012
        async with store.begin() as unit:
            await unit.append("goal/lost", 0, [goal("goal/lost")])
            raise KeyError
    await append(store, "goal/kept", 0)
    assert [(it.offset, it.key) for it in await store.outbox(TOPIC, 0, 10)] == [(0, "goal/kept")]


async def test_what_is_relayed_is_remembered(store_factory: StoreFactory):
    store = await store_factory()
    assert await store.relayed(TOPIC) == 0
    await append(store, "goal/a", 0, goal("goal/a"), goal("goal/a"), goal("goal/a"))
    assert await store.relay_lag([TOPIC, "muniment.joined"]) == 3
    await store.set_relayed(TOPIC, 2)
    assert await store.relayed(TOPIC) == 2
    assert await store.relay_lag([TOPIC]) == 1


async def test_one_relay_works_at_a_time(store_factory: StoreFactory):
    store = await store_factory()
    order: list[str] = []
    entered = asyncio.Event()

    async def second() -> None:
        async with store.relaying():
            order.append("second")

    async with store.relaying():
        waiting = asyncio.create_task(second())
        entered.set()
        await asyncio.wait([waiting], timeout=0.1)
        order.append("first")
    await asyncio.wait_for(waiting, 20)
    assert order == ["first", "second"]


async def test_an_append_wakes_the_relay(store_factory: StoreFactory):
    store = await store_factory()
    await store.wait_appended(0.05)
    waiting = asyncio.create_task(store.wait_appended(30))
    await asyncio.wait([waiting], timeout=0.05)
    await append(store, "goal/a", 0)
    await asyncio.wait_for(waiting, 20)


async def test_a_batch_of_datasets_in_several_streams(store_factory: StoreFactory):
    """One unit may append to several streams; their order in the outbox is that of the appends."""
    store = await store_factory()
    async with store.begin() as unit:
        for name in ("b", "a"):
            data = DatasetRegistered(dataset=name, version=1, uri="file:///x")
            await unit.append(
                f"dataset/{name}", 0, [Event(new_id(), "/muniment/registry", f"dataset/{name}", AT, 0, "ana", data)]
            )
    assert [record.key for record in await store.outbox(TOPIC, 0, 10)] == ["dataset/b", "dataset/a"]


async def test_several_streams_are_read_at_once_each_from_its_place(store_factory: StoreFactory):
    store = await store_factory()
    for subject in ("goal/a", "goal/b", "goal/c"):
        await append(store, subject, 0, goal(subject), goal(subject))
    async with store.begin() as unit:
        await unit.append("goal/a", 2, [goal("goal/a")])
        found = await unit.load_many({"goal/a": 1, "goal/c": 0, "goal/none": 0, "goal/b": 2})
        read = [(event.subject, event.sequence) for event in found]
        assert sorted(read) == [("goal/a", 2), ("goal/a", 3), ("goal/c", 1), ("goal/c", 2)]
        assert [sequence for subject, sequence in read if subject == "goal/a"] == [2, 3]
        assert await unit.load_many({}) == []
