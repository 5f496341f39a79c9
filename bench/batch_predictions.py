"""1,000 predictions of 10 features per POST: as JSON against a figure, as Arrow against producing the same bytes."""

import asyncio
import time

from aiokafka import AIOKafkaProducer

from bench import bare, given
from bench.http_load import post, rate
from bench.line import Line, middle
from bench.stack import Stack
from services.monitor.service import DEFINITION
from shared.events import batches
from shared.log.kafka_topics import ensure_topics
from shared.runtime.wiring import ports

CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 3
API = "monitor"
JSON_LEAST = 150_000


async def measure(stack: Stack) -> list[Line]:
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
    await ensure_topics(stack.settings.kafka, stack.settings, (bare.TOPIC,))
    port = stack.process(API, ["-m", "services.monitor", "api"])
    return [await _json(port), await _arrow(stack, port)]


async def _json(port: int) -> Line:
    request = post("/v1/predictions", given.json_body(given.ROWS), "application/json")
    await rate(port, request, CONNECTIONS, SECONDS / 2)  # warm
    rates = sorted([await rate(port, request, CONNECTIONS, SECONDS) * given.ROWS for _ in range(ROUNDS)])
    mine = rates[ROUNDS // 2]
    figures = f"{mine:,.0f} predictions/s, {CONNECTIONS} connections"
    return Line("1,000 predictions per POST, JSON", mine / JSON_LEAST, f"{JSON_LEAST:,}/s", 1, figures)


async def _arrow(stack: Stack, port: int) -> Line:
    body = batches.write(given.table())
    path = f"/v1/predictions?deployment={given.NAME}&version=1"
    request = post(path, body, "application/vnd.apache.arrow.stream")
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.settings.kafka,
        acks="all",
        max_batch_size=2**20,
        max_request_size=stack.settings.kafka_max_message_bytes,
    )
    await producer.start()
    try:
        await rate(port, request, CONNECTIONS, SECONDS / 2)  # warm
        await _produced(producer, body, SECONDS / 2)
        used, posts, sent, spent = 0.0, 0.0, 0.0, 0.0
        rounds: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            before, start = stack.cpu(API), time.perf_counter()
            mine = await rate(port, request, CONNECTIONS, SECONDS)
            posts += mine * (time.perf_counter() - start)
            used += stack.cpu(API) - before
            before, start = time.process_time(), time.perf_counter()
            raw = await _produced(producer, body, SECONDS)
            sent += raw * (time.perf_counter() - start)
            spent += time.process_time() - before
            rounds.append((mine, raw))
    finally:
        await producer.stop()
    mine, raw = (value * given.ROWS for value in middle(rounds))
    cpu = f"{used / posts * 1e6:,.0f} against {spent / sent * 1e6:,.0f} microseconds of CPU each"
    figures = f"{mine:,.0f} predictions/s against {raw:,.0f}/s, {len(body):,} bytes and {cpu}"
    return Line("1,000 predictions per POST, Arrow", mine / raw, "raw aiokafka, same bytes, acks=all", 0.6, figures)


async def _produced(producer: AIOKafkaProducer, body: bytes, seconds: float) -> float:
    """Records per second, as many under way at once as the API gets."""
    start, sent = time.perf_counter(), 0

    async def send() -> None:
        nonlocal sent
        while time.perf_counter() < start + seconds:
            await producer.send_and_wait(bare.TOPIC, body)
            sent += 1

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return sent / (time.perf_counter() - start)
