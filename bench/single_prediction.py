"""One prediction per POST, against a bare endpoint that checks nothing."""

from bench import bare, given
from bench.http_load import post, rate
from bench.line import Line, middle
from bench.stack import Stack
from services.monitor.service import DEFINITION
from shared.log.kafka_topics import ensure_topics
from shared.runtime.wiring import ports

CONNECTIONS = 32
SECONDS = 2.0
ROUNDS = 3


async def measure(stack: Stack) -> list[Line]:
    async with ports(DEFINITION, stack.settings) as service:
        await given.known(service.store)
    await ensure_topics(stack.settings.kafka, stack.settings, (bare.TOPIC,))
    floor = stack.process("bare", ["-m", "bench.bare"])
    ours = stack.process("monitor", ["-m", "services.monitor", "api"])
    request = post("/v1/predictions", given.json_body(1), "application/json")
    for port in (floor, ours):
        await rate(port, request, CONNECTIONS, SECONDS / 2)  # warm
    rounds = [
        (await rate(ours, request, CONNECTIONS, SECONDS), await rate(floor, request, CONNECTIONS, SECONDS))
        for _ in range(ROUNDS)
    ]
    mine, bare_rate = middle(rounds)
    figures = f"{mine:,.0f}/s against {bare_rate:,.0f}/s, {CONNECTIONS} connections"
    return [Line("one prediction per POST", mine / bare_rate, "bare FastAPI and aiokafka, acks=all", 0.7, figures)]
