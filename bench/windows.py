"""Arrow batches into windows: the pure fold on one core, and the monitor's consumer from Kafka into PostgreSQL.

A worker also archives what it reads, by a consumer of its own. That is not counted here; `bench archive` and
`bench flat` do it.
"""

import time

from bench import given
from bench.consuming import timed
from bench.line import Line
from bench.stack import Stack
from services.monitor.domain import native
from services.monitor.domain.folding import by_window, sketch_of
from services.monitor.domain.sketch import EMPTY, merge
from services.monitor.service import DEFINITION
from services.monitor.worker.measuring import CONSUMER
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.records import Outgoing
from shared.runtime.commands import new_id
from shared.runtime.consumer import Consumer
from shared.runtime.faust_transport import FaustConsumer
from shared.runtime.running import Transport
from shared.runtime.service import Service
from shared.runtime.wiring import ports

LEAST = 1_000_000
PEER = f"{LEAST:,}/s"
SECONDS = 3.0
DISTINCT = 50
BATCHES = 1_500
PUBLISHED_AT_ONCE = 50
ROUNDS = 3


async def measure(stack: Stack) -> list[Line]:
    bodies = [batches.write(given.table(seed)) for seed in range(DISTINCT)]
    return [_pure(bodies, stack.settings.window_seconds), *await _whole(stack, bodies)]


def _pure(bodies: list[bytes], window_seconds: int) -> Line:
    """From the bytes of each stream to the state of its window, nothing else."""
    bins, states, rows = given.bins(), {}, 0
    start, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < start + SECONDS:
        for body in bodies:
            for window, part in by_window(batches.read(body), window_seconds):
                states[window] = merge(states.get(window, EMPTY), sketch_of(part, bins))
                rows += part.num_rows
    taken, used = time.perf_counter() - start, time.process_time() - cpu
    assert sum(sketch.predictions for sketch in states.values()) == rows
    figures = f"{rows / taken:,.0f} predictions/s, {rows / used:,.0f} per second of CPU"
    return Line("windows, pure fold of Arrow batches", rows / taken / LEAST, PEER, 1, figures)


async def _whole(stack: Stack, bodies: list[bytes]) -> list[Line]:
    async with ports(DEFINITION, stack.settings) as service:
        for first in range(0, BATCHES, PUBLISHED_AT_ONCE):
            chosen = range(first, first + PUBLISHED_AT_ONCE)
            await service.log.publish(TOPIC_PREDICTIONS, [record(bodies[place % DISTINCT]) for place in chosen])

        async def agent(consumer: Consumer) -> None:
            await FaustConsumer(consumer, stack.settings.kafka, stack.settings.data_dir).run()

        lines = [await _line(service, "plain loop", Consumer.run)]
        native.load()  # as a worker does that has folded so much
        try:
            lines.append(await _line(service, "plain loop, compiled", Consumer.run))
            lines.append(await _line(service, "Faust agent, compiled", agent))
        finally:
            native.unload()
        return lines


async def _line(service: Service, carrier: str, transport: Transport) -> Line:
    """The median of ROUNDS, each from an empty store."""
    rounds: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        consumer = next(one for one in DEFINITION.consumers(service) if one.name == CONSUMER)
        group = carrier.replace(", ", "-").replace(" ", "-")
        consumer.name = f"{CONSUMER}.{group}.{number}"  # one that Kafka knows nothing of
        await service.store.clear_views(consumer.name)
        await given.known(service.store)
        rounds.append(await timed(consumer, BATCHES, transport))
    taken, used = sorted(rounds)[ROUNDS // 2]
    rows = BATCHES * given.ROWS
    figures = f"{rows / taken:,.0f} predictions/s, {rows / used:,.0f} per second of CPU, one worker, no archive"
    return Line(f"windows, Kafka to PostgreSQL, {carrier}", rows / taken / LEAST, PEER, 1, figures)


def record(table: bytes) -> Outgoing:
    """1,000 predictions as they lie in the log."""
    name = new_id()
    data = PredictionLogged(
        deployment=given.NAME, model=given.NAME, version=1, rows=given.ROWS, start=given.AT, end=given.AT
    )
    return encode(Event(name, "/muniment/monitor", f"batch/{name}", given.AT, 0, "bench", data, table=table))
