"""From the POST that takes event time past a window's end to the window being told as closed, under half of the load
that the whole way bears: API, log, and a worker that folds, archives and measures.

The most that it bears is what was counted by the time from the first POST at full speed, not what the API alone takes
in: where worker and API share cores, half of the latter may be more than the worker can follow.

Every step is bounded, so that a machine that cannot follow closes fewer windows and the line says how many. The request
that ends a day goes to one partition, while the others are kept busy with the day before: a window must not wait until
they happen to be read to their ends.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import orjson

from bench import given
from bench.http_load import END_OF_HEAD, Refused, post, rate
from bench.line import Line
from bench.stack import Stack
from services.monitor.service import DEFINITION
from services.monitor.worker.measuring import CONSUMER
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.runtime.service import Service
from shared.runtime.wiring import ports

LEAST = 2.0
WINDOWS = 30
CONNECTIONS = 8
WARM_SECONDS = 2.0
FULL_SECONDS = 4.0
BETWEEN_SECONDS = 0.25
LOOK_SECONDS = 0.05
WAIT_SECONDS = 10.0
"""How long a window may take: one that takes longer counts as so much."""

COUNTED_SECONDS = 20.0
"""How long it is waited until all is counted that was posted."""

MOST_SECONDS = 30.0
"""For how long windows are closed."""

DAY = timedelta(days=1)
ARROW = "application/vnd.apache.arrow.stream"
PATH = f"/v1/predictions?deployment={given.NAME}&version=1"


async def measure(stack: Stack) -> list[Line]:
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
        port = stack.process("monitor", ["-m", "services.monitor", "api"])
        stack.process("worker", ["-m", "services.monitor", "worker"], more={"MUNIMENT_NATIVE_FOLD": "true"})
        await rate(port, _request(0), CONNECTIONS, WARM_SECONDS)
        await _counted(service)  # by then the worker has begun, too
        most = await _most(service, port)
    taken = await _under(port, CONNECTIONS * given.ROWS / (most / 2))
    half, worst = np.percentile(taken, [50, 99])
    load = f"{most / 2:,.0f} predictions/s, half of the most that API and worker bear together"
    late = sum(one >= WAIT_SECONDS for one in taken)
    figures = (
        f"p50 {half:.2f} s, p99 {worst:.2f} s of {len(taken)} windows, {late} not closed within {WAIT_SECONDS:g} s"
    )
    return [Line("POST to closed window, p99", LEAST / worst, f"{LEAST:g} s", 1, f"{figures}; at {load}")]


async def _most(service: Service, port: int) -> float:
    """Predictions per second, from the first POST until the worker has counted the last, or as many as it could."""
    before = await _counted(service)
    start = time.perf_counter()
    await rate(port, _request(1), CONNECTIONS, FULL_SECONDS)
    counted = await _counted(service) - before
    return max(counted, 1) * given.ROWS / (time.perf_counter() - start)


async def _counted(service: Service) -> int:
    """Records that the worker has counted, once these are all that the log holds or COUNTED_SECONDS are over."""
    until = time.perf_counter() + COUNTED_SECONDS
    while True:
        bounds = await service.log.bounds((TOPIC_PREDICTIONS,))
        kept = await service.store.offsets()
        counted = sum(kept.get((CONSUMER, place), 0) for place in bounds)
        if counted == sum(bound.end for bound in bounds.values()) or time.perf_counter() > until:
            return counted
        await asyncio.sleep(LOOK_SECONDS)


async def _under(port: int, pause: float) -> list[float]:
    """Seconds until each of the windows was told as closed, while every connection posts once in `pause` seconds."""
    day = 2
    load = asyncio.gather(*(_pace(port, lambda: day, pause) for _ in range(CONNECTIONS)))
    taken: list[float] = []
    until = time.perf_counter() + MOST_SECONDS
    try:
        for day in range(2, WINDOWS + 2):
            await asyncio.sleep(BETWEEN_SECONDS)
            taken.append(await _closed(port, day, day + 1))
            if time.perf_counter() > until:
                break
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    return taken


def _request(day: int) -> bytes:
    """1,000 predictions past the time that the windows before `day` wait for late ones."""
    at = given.AT + day * DAY
    return post(PATH, batches.write(given.table(day, at)), ARROW)


async def _pace(port: int, day: Callable[[], int], pause: float) -> None:
    """Post every so many seconds, of the day that it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    made = (0, b"")
    while True:
        due = time.perf_counter() + pause
        if made[0] != day():
            made = day(), _request(day())
        await _asked(reader, writer, made[1])
        await asyncio.sleep(max(due - time.perf_counter(), 0))


async def _closed(port: int, day: int, following: int) -> float:
    """Seconds from the POST of the following day until the window of `day` is told as closed; WAIT_SECONDS where it is
    not told within them."""
    start = given.AT.replace(hour=0) + day * DAY
    span = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={start + DAY:%Y-%m-%dT%H:%M:%SZ}"
    look = f"GET /v1/deployments/{given.NAME}/windows?{span} HTTP/1.1\r\nHost: bench\r\nX-Actor: bench\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        begun = time.perf_counter()
        await _asked(reader, writer, _request(following))
        while time.perf_counter() < begun + WAIT_SECONDS:
            if _told(await _asked(reader, writer, look.encode())):
                return time.perf_counter() - begun
            await asyncio.sleep(LOOK_SECONDS)
        return WAIT_SECONDS
    finally:
        writer.close()


def _told(answer: bytes) -> bool:
    """Whether the window is closed."""
    return any(one["closed"] for one in orjson.loads(answer)["items"])


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """The body of an answer. Raises Refused."""
    writer.write(request)
    head = await reader.readuntil(END_OF_HEAD)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(int(length[15:]))
    if not head.startswith(b"HTTP/1.1 2"):
        raise Refused((head.splitlines()[0] + b" " + body[:500]).decode())
    return body
