"""What every log must do: in memory, on PostgreSQL and on Kafka."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from shared.log.log import EventLog, OffsetOutOfRange, Subscription
from shared.log.records import Bounds, Outgoing, Record, TopicPartition
from tests.contract.conftest import LogFactory

SECONDS = 60.0
HEADERS = (("ce_id", b"\x00\xff"), ("ce_type", "Größe".encode()), ("ce_id", b""))


def outgoing(number: int, key: str = "k", size: int = 0) -> Outgoing:
    return Outgoing(key, HEADERS, str(number).encode().ljust(size, b"."))


@asynccontextmanager
async def subscribed(log: EventLog, *topics: str, group: str = "group", offset: int = 0):
    """A subscription that reads every partition from `offset`, once it has got them."""
    assigned = asyncio.Event()

    async def on_assigned(places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        assigned.set()
        return dict.fromkeys(places, offset)

    async def on_revoked(places: Sequence[TopicPartition]) -> None:
        return None

    async with log.subscribe(group, topics, on_assigned, on_revoked) as subscription:
        async with asyncio.timeout(SECONDS):
            while not assigned.is_set():
                await subscription.poll(1, 0.1)
        for place in subscription.assignment():
            subscription.seek(place, offset)
        yield subscription


async def receive(subscription: Subscription, count: int, at_once: int = 100) -> list[Record]:
    """The next `count` records."""
    received: list[Record] = []
    async with asyncio.timeout(SECONDS):
        while len(received) < count:
            for records in (await subscription.poll(at_once, 1.0)).values():
                assert len(records) <= at_once
                received += records
    return received


async def test_what_is_published_is_read_back(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    positions = await log.publish(topic, [outgoing(0), outgoing(1, "ö")])
    assert positions == [(0, 0), (0, 1)]
    assert await log.publish(topic, [Outgoing("k", (), b"\x00\xff")]) == [(0, 2)]
    assert await log.publish(topic, []) == []
    records = await log.read(TopicPartition(topic, 0), 0, 10)
    assert [(record.offset, record.key, record.headers, record.value) for record in records] == [
        (0, "k", HEADERS, b"0"),
        (1, "ö", HEADERS, b"1"),
        (2, "k", (), b"\x00\xff"),
    ]
    assert all(abs(record.recorded - datetime.now(UTC)) < timedelta(minutes=1) for record in records)
    assert all(left.recorded <= right.recorded for left, right in pairwise(records))
    assert await log.read(TopicPartition(topic, 0), 1, 1) == records[1:2]
    assert await log.read(TopicPartition(topic, 0), 3, 1) == []


async def test_bounds_tell_oldest_and_next_offset(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    place = TopicPartition(topic, 0)
    assert await log.bounds([topic]) == {place: Bounds(0, 0)}
    await log.publish(topic, [outgoing(0), outgoing(1)])
    assert await log.bounds([topic]) == {place: Bounds(0, 2)}


async def test_many_publishers_get_positions_without_gaps(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)

    async def publisher(name: str) -> list[tuple[int, int]]:
        batches = [
            await log.publish(topic, [outgoing(turn * 3 + place, name) for place in range(3)]) for turn in range(5)
        ]
        return [position for batch in batches for position in batch]

    answers = await asyncio.gather(*(publisher(f"p{number}") for number in range(8)))
    taken = [offset for answer in answers for _, offset in answer]
    assert sorted(taken) == list(range(120))
    records = [record async for record in _all(log, topic)]
    for number, answer in enumerate(answers):
        own = [record for record in records if record.key == f"p{number}"]
        assert [record.offset for record in own] == [offset for _, offset in answer]
        assert [int(record.value) for record in own] == list(range(15)), "one key keeps its order"


async def _all(log: EventLog, topic: str):
    place = TopicPartition(topic, 0)
    end = (await log.bounds([topic]))[place].end
    offset = 0
    while offset < end:
        for record in await log.read(place, offset, 50):
            offset = record.offset + 1
            yield record


async def test_a_reader_beside_many_writers_skips_nothing(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    async with subscribed(log, topic) as subscription:
        reading = asyncio.create_task(receive(subscription, 200))
        await asyncio.gather(*(log.publish(topic, [outgoing(0, f"k{n}"), outgoing(1, f"k{n}")]) for n in range(100)))
        records = await reading
    assert [record.offset for record in records] == list(range(200))


async def test_a_subscription_goes_on_where_it_is_told(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    await log.publish(topic, [outgoing(number) for number in range(10)])
    async with subscribed(log, topic, offset=7) as subscription:
        assert [record.offset for record in await receive(subscription, 3)] == [7, 8, 9]
        assert await subscription.poll(10, 0.05) == {}
        subscription.seek(TopicPartition(topic, 0), 4)
        assert [record.offset for record in await receive(subscription, 6, at_once=2)] == [4, 5, 6, 7, 8, 9]
        assert subscription.assignment() == {TopicPartition(topic, 0)}


async def test_a_subscription_is_woken_by_a_record(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    async with subscribed(log, topic) as subscription:
        await subscription.poll(1, 0.05)
        waiting = asyncio.create_task(subscription.poll(1, SECONDS))
        await asyncio.wait([waiting], timeout=0.05)
        await log.publish(topic, [outgoing(0)])
        polled = await asyncio.wait_for(waiting, SECONDS / 2)
    assert [record.value for record in polled[TopicPartition(topic, 0)]] == [b"0"]


async def test_groups_read_apart_from_each_other(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    await log.publish(topic, [outgoing(0), outgoing(1)])
    async with subscribed(log, topic, group="a") as first, subscribed(log, topic, group="b") as second:
        assert len(await receive(first, 2)) == len(await receive(second, 2)) == 2


async def test_no_topic_starves_behind_a_busy_one(log_factory: LogFactory, topic: str):
    busy, quiet = f"{topic}.busy", f"{topic}.quiet"
    log = await log_factory(busy, quiet)
    await log.publish(busy, [outgoing(number) for number in range(200)])
    await log.publish(quiet, [outgoing(0)])
    async with subscribed(log, busy, quiet) as subscription:
        records = await receive(subscription, 201, at_once=5)
    own = [record.offset for record in records if record.topic == busy]
    assert own == list(range(200))
    assert [record.topic for record in records].index(quiet) < 200


async def test_large_records_come_whole(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    size = 600_000
    await log.publish(topic, [outgoing(number, size=size) for number in range(20)])
    async with subscribed(log, topic) as subscription:
        records = await receive(subscription, 20)
    assert [(record.offset, len(record.value)) for record in records] == [(number, size) for number in range(20)]


@pytest.mark.parametrize("offset", [6, 100])
async def test_an_offset_out_of_range_is_an_alarm(log_factory: LogFactory, topic: str, offset: int):
    log = await log_factory(topic)
    await log.publish(topic, [outgoing(number) for number in range(5)])
    with pytest.raises(OffsetOutOfRange) as raised:
        await log.read(TopicPartition(topic, 0), offset)
    assert raised.value.bounds == Bounds(0, 5)
    with pytest.raises(OffsetOutOfRange):
        async with subscribed(log, topic, offset=offset) as subscription:
            await receive(subscription, 1)


async def test_a_newcomer_takes_over(log_factory: LogFactory, topic: str):
    """The newest subscription of a group reads on, whether the older one has left or not."""
    log = await log_factory(topic)
    await log.publish(topic, [outgoing(number) for number in range(4)])
    async with subscribed(log, topic) as first:
        await receive(first, 2, at_once=2)
    async with subscribed(log, topic, offset=2) as second:
        assert [record.offset for record in await receive(second, 2)] == [2, 3]


async def test_partitions_can_be_followed_outside_of_any_group(log_factory: LogFactory, topic: str):
    log = await log_factory(topic)
    place = TopicPartition(topic, 0)
    await log.publish(topic, [outgoing(number) for number in range(4)])
    async with log.follow({place: 2}) as one, log.follow({place: 0}) as other:
        assert one.assignment() == {place}
        assert [record.offset for record in await receive(one, 2)] == [2, 3]
        assert [record.offset for record in await receive(other, 4)] == [0, 1, 2, 3]
        await log.publish(topic, [outgoing(4)])
        assert [record.offset for record in await receive(one, 1)] == [4]
        one.seek(place, 3)
        assert [record.offset for record in await receive(one, 2)] == [3, 4]
    async with log.follow({place: 9}) as beyond:
        with pytest.raises(OffsetOutOfRange):
            await receive(beyond, 1)
