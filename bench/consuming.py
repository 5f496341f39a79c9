"""How long a service's consumer, and raw aiokafka, take for all records of some topics."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer

from shared.log.store import UnitOfWork
from shared.runtime.consumer import Consumer, Received
from shared.runtime.running import Transport

SECONDS = 120.0
FETCH_BYTES = 2 * 2**20
LOOK_SECONDS = 0.05
"""Between two looks whether all is committed: each asks the broker, which has better things to do."""


async def consumed(consumer: Consumer, records: int, transport: Transport = Consumer.run) -> float:
    """Seconds from the first records in hand until all are committed. Raises TimeoutError, AssertionError."""
    return (await timed(consumer, records, transport))[0]


async def timed(consumer: Consumer, records: int, transport: Transport = Consumer.run) -> tuple[float, float]:
    """As `consumed`, and the seconds of CPU that this process used meanwhile."""
    handle, seen, start, cpu = consumer.handle, 0, 0.0, 0.0
    handed = asyncio.Event()

    async def counting(unit: UnitOfWork, received: Sequence[Received]) -> None:
        nonlocal seen, start, cpu
        start, cpu = start or time.perf_counter(), cpu or time.process_time()
        await handle(unit, received)
        seen += len(received)
        if seen >= records:
            handed.set()

    consumer.handle = counting
    running = asyncio.ensure_future(transport(consumer))
    try:
        async with asyncio.timeout(SECONDS):
            await handed.wait()
            while await consumer.lag() or consumer.loading:  # noqa: ASYNC110 (the commit tells nobody)
                await asyncio.sleep(LOOK_SECONDS)
            taken = time.perf_counter() - start, time.process_time() - cpu
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        consumer.handle = handle
    async with consumer.store.begin() as unit:
        assert not await unit.dead_letters(consumer.name, 1), "records were parked"
    assert seen == records, f"{seen} records were handled instead of {records}"
    return taken


async def raw(kafka: str, topics: Sequence[str], records: int, at_once: int) -> float:
    """Seconds from the first records in hand until all are, without a look into them. Raises TimeoutError."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka,
        group_id=None,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    seen, start = 0, 0.0
    try:
        async with asyncio.timeout(SECONDS):
            while seen < records:
                polled = await consumer.getmany(timeout_ms=1_000, max_records=at_once)
                start = start or (time.perf_counter() if polled else 0.0)
                seen += sum(len(messages) for messages in polled.values())
    finally:
        await consumer.stop()
    return time.perf_counter() - start
