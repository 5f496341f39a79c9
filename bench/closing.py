"""From the POST that takes event time past a window's end to the window being told as closed, under half of the load
that the API can take."""

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
from shared.events import batches
from shared.runtime.wiring import ports

LEAST = 2.0
WINDOWS = 40
CONNECTIONS = 8
WARM_SECONDS = 3.0
LOOK_SECONDS = 0.02
WAIT_SECONDS = 30.0
DAY = timedelta(days=1)
ARROW = "application/vnd.apache.arrow.stream"
PATH = f"/v1/predictions?deployment={given.NAME}&version=1"


async def measure(stack: Stack) -> list[Line]:
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
    port = stack.process("monitor", ["-m", "services.monitor", "api"])
    stack.process("worker", ["-m", "services.monitor", "worker"])
    await rate(port, _request(0), CONNECTIONS, WARM_SECONDS)
    await _closed(port, 0, 1)  # by then the worker has begun, too
    most = await rate(port, _request(1), CONNECTIONS, WARM_SECONDS)
    await _closed(port, 1, 2)  # what was posted to find the rate is counted by then
    day = 2
    load = asyncio.gather(*(_pace(port, lambda: day, CONNECTIONS / (most / 2)) for _ in range(CONNECTIONS)))
    taken: list[float] = []
    try:
        for day in range(2, WINDOWS + 2):
            await asyncio.sleep(0.5)
            taken.append(await _closed(port, day, day + 1))
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    half, worst = np.percentile(taken, [50, 99])
    figures = f"p50 {half:.2f} s, p99 {worst:.2f} s of {WINDOWS} windows, {most / 2 * given.ROWS:,.0f} predictions/s"
    return [Line("POST to closed window, p99", LEAST / worst, f"{LEAST:g} s", 1, figures)]


def _request(day: int) -> bytes:
    """1,000 predictions past the time that the windows before `day` wait for late ones."""
    at = given.AT + day * DAY
    return post(PATH, batches.write(given.table(day, at)), ARROW)


async def _pace(port: int, day: Callable[[], int], seconds: float) -> None:
    """Post every so many seconds, of the day that it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    made = (0, b"")
    while True:
        due = time.perf_counter() + seconds
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
