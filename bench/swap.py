"""A promotion and a rollback, again and again, under the load of inferences: nobody gets an error, and the slowest
hundredth of the answers is not much slower than without."""

import asyncio

import httpx

from bench import given
from bench.http_load import Load, load, post, rate
from bench.infer import CONNECTIONS, PATH, SECONDS, deployed, registered, written
from bench.infer import body as asked
from bench.line import Line, middle
from bench.stack import Stack

ROUNDS = 3
PAUSE = 0.2


async def measure(stack: Stack) -> list[Line]:
    artifact = await asyncio.to_thread(written, stack.settings.data_dir)
    for version in (1, 2):
        await registered(stack, version, artifact)
    port = stack.process("deployer", ["-m", "services.deployer", "all"])
    await deployed(port)
    request = post(PATH, asked(), "application/json")
    await rate(port, request, CONNECTIONS, SECONDS / 2)  # warm
    rounds: list[tuple[Load, Load]] = []
    for _ in range(ROUNDS):
        calm = await load(port, request, CONNECTIONS, SECONDS)
        swapping = asyncio.create_task(_swaps(port))
        moved = await load(port, request, CONNECTIONS, SECONDS)  # raises where one answer is not 2xx
        if swapping.done():
            await swapping  # it never ends by itself: what stopped it is told
        swapping.cancel()
        rounds.append((calm, moved))
    normal, during = middle([(one.percentile(99), other.percentile(99)) for one, other in rounds])
    answers = sum(len(other.seconds) for _, other in rounds)
    figures = f"{normal * 1e3:.1f} ms without, {during * 1e3:.1f} ms during; 0 errors in {answers:,} answers"
    return [Line("p99 while traffic is swapped", normal / during, "p99 without (service time)", 0.5, figures)]


async def _swaps(port: int) -> None:
    """Version 2 becomes champion and goes back, until cancelled."""
    base = f"http://127.0.0.1:{port}/v1/deployments/{given.NAME}"
    async with httpx.AsyncClient() as client:
        while True:
            traffic = {"champion": 1, "challengers": [{"version": 2, "percent": 50.0}]}
            for method, path, body in (
                ("PUT", "traffic", traffic),
                ("POST", "promote", None),
                ("POST", "rollback", None),
                ("POST", "rollback", None),
            ):
                answer = await client.request(method, f"{base}/{path}", json=body)
                assert answer.is_success, answer.text
                await asyncio.sleep(PAUSE / 4)
