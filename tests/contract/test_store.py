"""What every store must do with places, dead letters, answers and locks: in memory and on PostgreSQL."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.log.records import TopicPartition
from shared.log.store import Fenced, IdempotencyRecord, InFlight, InUse
from shared.log.tables import Put
from shared.runtime.commands import new_id
from tests.contract.conftest import StoreFactory
from tests.contract.facts import GOALS, PLACE, ROW, TOPIC, letter


async def test_a_newer_claim_fences_the_older_owner(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    old = (await store.claim("views", [PLACE]))[PLACE]
    async with store.begin() as unit:
        (old,) = await unit.advance("views", {old: 3})
    new = (await store.claim("views", [PLACE]))[PLACE]
    assert new.next_offset == 3
    with pytest.raises(Fenced):  # noqa: PT012
        async with store.begin() as unit:
            await unit.apply([Put("goals", ROW)])
            await unit.advance("views", {old: 4})
    assert await store.get("goals", "warn") is None
    async with store.begin() as unit:
        await unit.advance("views", {new: 5})
    assert await store.offsets() == {("views", PLACE): 5}


async def test_the_same_step_is_taken_once(store_factory: StoreFactory):
    store = await store_factory()
    claim = (await store.claim("views", [PLACE]))[PLACE]
    async with store.begin() as unit:
        await unit.advance("views", {claim: 1})
    with pytest.raises(Fenced):
        async with store.begin() as unit:
            await unit.advance("views", {claim: 1})


async def test_claims_are_by_consumer_and_partition(store_factory: StoreFactory):
    store = await store_factory()
    other = TopicPartition(TOPIC, 1)
    claims = await store.claim("views", [other, PLACE])
    await store.claim("more", [PLACE])
    async with store.begin() as unit:
        await unit.advance("views", {claims[PLACE]: 2})
        await unit.advance("views", {claims[other]: 7})
    assert await store.offsets() == {("views", PLACE): 2, ("views", other): 7, ("more", PLACE): 0}


async def test_heads_are_kept_per_consumer(store_factory: StoreFactory):
    store = await store_factory()
    async with store.begin() as unit:
        await unit.set_heads("views", {"a": 1, "b": 2})
        await unit.set_heads("views", {"b": 3})
    async with store.begin() as unit:
        assert await unit.heads("views", ["a", "b", "c"]) == {"a": 1, "b": 3}
        assert await unit.heads("more", ["a"]) == {}


async def test_who_waits_for_an_event_is_told_when_views_hold_it(store_factory: StoreFactory):
    store = await store_factory()
    ids = [new_id(), new_id()]
    assert not await store.wait_seen(ids[0], 0.01)
    waiting = asyncio.create_task(store.wait_seen(ids[1], 30))
    await asyncio.wait([waiting], timeout=0.05)
    async with store.begin() as unit:
        await unit.mark_seen("views", ids)
        await unit.mark_seen("more", ids)
    assert await asyncio.wait_for(waiting, 20)
    assert await store.wait_seen(ids[0], 0.01)


async def test_dead_letters_are_kept_whole_and_in_order(store_factory: StoreFactory):
    store = await store_factory()
    letters = [letter("views", 2), letter("views", 0, "goal/b"), letter("more", 1)]
    async with store.begin() as unit:
        await unit.park(letters)
        await unit.park([letter("views", 2)])
    async with store.begin() as unit:
        assert await unit.dead_letters() == [letters[1], letters[2], letters[0]]
        assert await unit.dead_letters("views") == [letters[1], letters[0]]
        assert await unit.dead_letters("views", 1) == [letters[1]]
        assert await unit.parked_keys("views") == {(TOPIC, "goal/b"), (TOPIC, "goal/warn")}
    assert await store.waiting_dead_letters() == {"views": 2, "more": 1}
    async with store.begin() as unit:
        await unit.remove_dead_letter("views", PLACE, 0)
    async with store.begin() as unit:
        assert await unit.dead_letters("views") == [letters[0]]
        assert await unit.dead_letters("more") == [letters[2]]


async def test_an_answer_is_kept_for_its_key(store_factory: StoreFactory):
    store = await store_factory()
    record = IdempotencyRecord("digest", 201, b'{"id": 1}')
    async with store.begin() as unit:
        assert await unit.idempotency("k") is None
        await unit.keep_idempotency("k", record)
    async with store.begin() as unit:
        assert await unit.idempotency("k") == record
        assert await unit.idempotency("other") is None


async def test_a_key_in_use_is_in_flight(store_factory: StoreFactory):
    store = await store_factory()
    async with store.begin() as first:
        await first.idempotency("k")
        assert await first.idempotency("k") is None, "the same unit may ask again"
        with pytest.raises(InFlight):
            async with store.begin() as second:
                await second.idempotency("k")
        async with store.begin() as third:
            assert await third.idempotency("other") is None
    async with store.begin() as unit:
        assert await unit.idempotency("k") is None


async def test_two_units_never_hold_one_name(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    inside = most = 0

    async def worker(names: Sequence[str]) -> None:
        nonlocal inside, most
        async with store.begin() as unit:
            await unit.lock(names)
            inside += 1
            most = max(most, inside)
            await unit.get("goals", "x")
            await asyncio.sleep(0)
            inside -= 1

    both = [["a", "b"], ["b", "a"]] * 4
    await asyncio.wait_for(asyncio.gather(*map(worker, both)), 20)
    assert most == 1


async def test_one_at_a_time_fills_the_views(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    assert not await store.is_filled()
    async with store.filling():
        assert await store.is_filled()
        with pytest.raises(InUse):
            async with store.filling():
                pass
        assert await store.is_filled(), "who was refused took nothing"
    assert not await store.is_filled()
