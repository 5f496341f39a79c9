"""What is particular to Kafka: rebalances, out-of-range alarms, big records, brokers that die."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition as KafkaPlace
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from devstack.kafka import KafkaBroker
from shared.log.kafka import KafkaLog
from shared.log.kafka_topics import TopicsWrong, ensure_topics
from shared.log.log import LogUnavailable, OffsetOutOfRange, Subscription
from shared.log.records import Bounds, Outgoing, Record, TopicPartition
from shared.runtime.settings import Settings

pytestmark = pytest.mark.kafka

SECONDS = 120.0


class Offsets:
    """What a store keeps, for one group: the next offset of each partition, and who has which."""

    def __init__(self) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.revocations = 0

    async def assigned(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self.next.get(place, 0) for place in places}

    async def revoked(self, places: Sequence[TopicPartition]) -> None:
        self.revocations += 1

    def advance(self, polled: dict[TopicPartition, list[Record]]) -> None:
        for place, records in polled.items():
            self.next[place] = records[-1].offset + 1


async def collect(subscription: Subscription, count: int, offsets: Offsets | None = None) -> list[Record]:
    """Poll until `count` records came, in the order they came."""
    records: list[Record] = []
    async with asyncio.timeout(SECONDS):
        while len(records) < count:
            polled = await subscription.poll(100, 1.0)
            if offsets is not None:
                offsets.advance(polled)
            records += [record for found in polled.values() for record in found]
    return records


@pytest.fixture
async def log(kafka_address: str) -> AsyncIterator[KafkaLog]:
    opened = await KafkaLog(kafka_address, Settings()).start()
    yield opened
    await opened.close()


async def new_topic(address: str, partitions: int = 1) -> str:
    topic = f"test.{uuid4().hex}"
    await ensure_topics(address, Settings(kafka_partitions=partitions), [topic])
    return topic


def numbered(count: int, key: str | None = None) -> list[Outgoing]:
    return [Outgoing(key or f"key/{n}", (("ce_id", str(n).encode()),), f"value {n}".encode()) for n in range(count)]


async def test_records_come_back_as_they_went_with_the_brokers_time(log: KafkaLog, kafka_address: str) -> None:
    topic = await new_topic(kafka_address)
    outgoing = Outgoing("modèle/été", (("ce_id", b"1"), ("ce_id", b"\x00\xff")), b"\x00value")
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert await log.publish(topic, [outgoing]) == [(0, 0)]
    (record,) = await log.read(TopicPartition(topic, 0), 0)
    assert (record.key, record.headers, record.value) == (outgoing.key, outgoing.headers, outgoing.value)
    assert before <= record.recorded <= datetime.now(UTC)


async def test_a_record_of_the_largest_size_passes_and_a_larger_one_is_refused(
    log: KafkaLog, kafka_address: str
) -> None:
    topic = await new_topic(kafka_address)
    value = bytes(log.settings.kafka_max_message_bytes - 200)
    await log.publish(topic, [*numbered(1), Outgoing("big", (), value), *numbered(1)])
    with pytest.raises(ValueError, match="too large"):
        await log.publish(topic, [Outgoing("big", (), value + bytes(200))])
    offsets = Offsets()
    async with log.subscribe(uuid4().hex, [topic], offsets.assigned, offsets.revoked) as subscription:
        sizes = [len(record.value) for record in await collect(subscription, 3)]
    assert sizes == [7, len(value), 7]
    assert len((await log.read(TopicPartition(topic, 0), 1))[0].value) == len(value)


async def test_a_subscription_starts_where_the_store_says(log: KafkaLog, kafka_address: str) -> None:
    topic = await new_topic(kafka_address)
    await log.publish(topic, numbered(10, "one"))
    offsets = Offsets()
    offsets.next[TopicPartition(topic, 0)] = 7
    async with log.subscribe(uuid4().hex, [topic], offsets.assigned, offsets.revoked) as subscription:
        assert [record.offset for record in await collect(subscription, 3)] == [7, 8, 9]
        subscription.seek(TopicPartition(topic, 0), 2)
        assert [record.offset for record in await collect(subscription, 8)] == list(range(2, 10))
        assert subscription.assignment() == {TopicPartition(topic, 0)}
    assert offsets.revocations == 1


async def test_a_cancelled_poll_always_ends(log: KafkaLog, kafka_address: str) -> None:
    topic, offsets, polled = await new_topic(kafka_address), Offsets(), asyncio.Event()

    async def forever(subscription: Subscription) -> None:
        while True:
            await subscription.poll(1, 0.001)
            polled.set()

    async with log.subscribe(uuid4().hex, [topic], offsets.assigned, offsets.revoked) as subscription:
        while not subscription.assignment():
            await subscription.poll(1, 0.1)
        for steps in range(100):
            task = asyncio.create_task(forever(subscription))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=30)
            assert done, f"went on after it was cancelled at step {steps}"
        task = asyncio.create_task(forever(subscription))
        await asyncio.wait_for(polled.wait(), 60)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=30)
        assert done, "went on after it was cancelled between polls"


@pytest.mark.parametrize(("deleted", "offset"), [(0, 11), (5, 0), (5, 4)])
async def test_an_offset_out_of_range_is_an_alarm(log: KafkaLog, kafka_address: str, deleted: int, offset: int) -> None:
    topic = await new_topic(kafka_address)
    place = TopicPartition(topic, 0)
    await log.publish(topic, numbered(10, "one"))
    await delete_before(kafka_address, place, deleted)
    offsets = Offsets()
    offsets.next[place] = offset
    with pytest.raises(OffsetOutOfRange) as raised:
        async with log.subscribe(uuid4().hex, [topic], offsets.assigned, offsets.revoked) as subscription:
            await collect(subscription, 1)
    assert (raised.value.place, raised.value.offset, raised.value.bounds) == (place, offset, Bounds(deleted, 10))
    with pytest.raises(OffsetOutOfRange):
        await log.read(place, offset)


async def delete_before(address: str, place: TopicPartition, offset: int) -> None:
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.delete_records({KafkaPlace(*place): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_an_error_of_the_owner_during_assignment_is_raised_by_poll(log: KafkaLog, kafka_address: str) -> None:
    topic = await new_topic(kafka_address)

    async def failing(places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        raise LogUnavailable("the store is away")

    with pytest.raises(LogUnavailable, match="the store is away"):
        async with log.subscribe(uuid4().hex, [topic], failing, Offsets().revoked) as subscription:
            await collect(subscription, 1)


async def test_newcomers_share_partitions_and_nothing_is_lost_or_repeated(log: KafkaLog, kafka_address: str) -> None:
    topic, group, total = await new_topic(kafka_address, partitions=4), uuid4().hex, 400
    offsets, seen, changed = Offsets(), [], asyncio.Condition()
    shares: dict[int, int] = {}

    async def work(worker: int) -> None:
        async with log.subscribe(group, [topic], offsets.assigned, offsets.revoked) as subscription:
            while len(seen) < total:
                polled = await subscription.poll(20, 0.2)
                await asyncio.sleep(0)  # work in hand while a rebalance may come
                offsets.advance(polled)
                seen.extend((place, record.offset) for place, found in polled.items() for record in found)
                shares[worker] = len(subscription.assignment())
                async with changed:
                    changed.notify_all()

    async def reached(condition: Callable[[], bool]) -> None:
        async with changed:
            await changed.wait_for(condition)

    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(work(1))
        await log.publish(topic, numbered(total // 2))
        await reached(lambda: len(seen) == total // 2)
        tasks.create_task(work(2))
        await reached(lambda: shares == {1: 2, 2: 2})
        assert not first.done()
        await log.publish(topic, numbered(total // 2))
    assert len(seen) == len(set(seen)) == total


async def test_no_read_waits_for_what_another_fetched_beyond_its_own(log: KafkaLog, kafka_address: str) -> None:
    """A consumer that holds records of one partition asks their broker for those of no other until a tenth of a second
    has passed; here, until more has passed than a read may take."""
    places = [TopicPartition(await new_topic(kafka_address), 0) for _ in range(2)]
    for place in places:
        await log.publish(place.topic, [Outgoing(str(n), (), bytes(125_000)) for n in range(50)])
        await log.read(place, 0)
    log._reader._consumer._fetcher._prefetch_backoff = 600.0
    for n in range(100):
        place, offset = places[n % 2], n * 37 % 50
        (record,) = await log.read(place, offset)
        assert record.key == str(offset)
    assert [record.offset for record in await log.read(place, 45, 10)] == [45, 46, 47, 48, 49]
    assert await log.read(place, 50, 10) == []
    await log.publish(place.topic, numbered(1))
    assert [record.offset for record in await log.read(place, 50, 10)] == [50]


async def test_bounds_of_every_partition(log: KafkaLog, kafka_address: str) -> None:
    topic = await new_topic(kafka_address, partitions=3)
    placed = await log.publish(topic, numbered(30))
    bounds = await log.bounds([topic])
    assert set(bounds) == {TopicPartition(topic, number) for number in range(3)}
    for place, bound in bounds.items():
        assert bound == Bounds(0, sum(partition == place.partition for partition, _ in placed))


async def test_topics_with_settings_that_lose_events_are_told(kafka_address: str) -> None:
    topic = f"test.{uuid4().hex}"
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka_address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"retention.ms": "1000"})])
    await admin.close()
    with pytest.raises(TopicsWrong) as raised:
        await ensure_topics(kafka_address, Settings(), [topic])
    assert f"topic {topic}: retention.ms is 1000, must be -1" in str(raised.value)
    assert f"topic {topic}: message.timestamp.type is CreateTime, must be LogAppendTime" in str(raised.value)


async def test_a_broker_that_dies_loses_nothing_acknowledged(own_broker: KafkaBroker) -> None:
    """Publishers go on through SIGKILL and restart; every record acknowledged is there, in its key's order."""
    log = await KafkaLog(own_broker.address, Settings(kafka_partitions=2)).start()
    topic, acknowledged = "muniment.registry", list[tuple[str, int]]()
    offsets, changed = Offsets(), asyncio.Condition()

    async def publish(key: str, until: asyncio.Event) -> None:
        number = 0
        while not until.is_set():
            try:
                await log.publish(topic, [Outgoing(key, (), str(number).encode())])
            except LogUnavailable:
                continue  # the same number again, as a relay does
            acknowledged.append((key, number))
            number += 1
            async with changed:
                changed.notify_all()

    async def reaches(count: int) -> None:
        async with changed:
            await changed.wait_for(lambda: len(acknowledged) >= count)

    done = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        subscription = await stack.enter_async_context(
            log.subscribe("survivor", [topic], offsets.assigned, offsets.revoked)
        )
        async with asyncio.timeout(240), asyncio.TaskGroup() as tasks:
            for key in ("a", "b", "c"):
                tasks.create_task(publish(key, done))
            await reaches(300)
            assert await collect(subscription, 100, offsets)
            await asyncio.to_thread(own_broker.kill)
            await asyncio.to_thread(own_broker.start)
            await reaches(len(acknowledged) + 300)
            done.set()
        bounds = await log.bounds([topic])
        waiting = sum(bound.end for bound in bounds.values()) - sum(offsets.next.values())
        await collect(subscription, waiting, offsets)
        kept = [record for place, bound in bounds.items() for record in await log.read(place, 0, bound.end)]
    assert offsets.next == {place: bound.end for place, bound in bounds.items() if bound.end}
    assert {(record.key, int(record.value)) for record in kept} >= set(acknowledged)
    for key in ("a", "b", "c"):
        numbers = [int(record.value) for record in kept if record.key == key]
        assert numbers == sorted(numbers)


async def test_without_a_broker_everything_says_so_soon() -> None:
    log = KafkaLog("127.0.0.1:1", Settings())
    with pytest.raises(LogUnavailable):
        await log.start()
    with pytest.raises(LogUnavailable):
        await log.publish("muniment.registry", numbered(1))
    with pytest.raises(LogUnavailable):
        await log.bounds(["muniment.registry"])
    with pytest.raises(LogUnavailable):
        async with log.subscribe("nobody", ["muniment.registry"], Offsets().assigned, Offsets().revoked):
            pass
    await log.close()
