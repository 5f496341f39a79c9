"""Control events from Kafka into audit's ledger and lineage in PostgreSQL, against reading the same records raw."""

from dataclasses import replace

from bench.consuming import consumed, raw
from bench.line import Line
from bench.stack import Stack
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER
from shared.events.catalog import CONTROL_TOPICS, topic_of
from shared.events.codec import encode
from shared.events.envelope import BatchPayload
from shared.log.records import Outgoing
from shared.runtime.commands import new_id
from shared.runtime.wiring import ports
from tests.replay.samples import PAYLOADS, sample

LEAST = 20_000
EVENTS = 100_000
STREAM_LENGTH = 10
PUBLISHED_AT_ONCE = 1_000


async def measure(stack: Stack) -> list[Line]:
    settings = stack.settings
    async with ports(DEFINITION, settings) as service:
        for topic, records in _records().items():
            for first in range(0, len(records), PUBLISHED_AT_ONCE):
                await service.log.publish(topic, records[first : first + PUBLISHED_AT_ONCE])
        bare = EVENTS / await raw(settings.kafka, CONTROL_TOPICS, EVENTS, settings.consumer_max_records)
        consumer = next(one for one in DEFINITION.consumers(service) if one.name == LEDGER)
        mine = EVENTS / await consumed(consumer, EVENTS)
    figures = f"{mine:,.0f} events/s, {EVENTS:,} of every control type"
    what = "replay of control events into lineage"
    against = f"{mine:,.0f} events/s against {bare:,.0f}/s"
    return [
        Line(what, mine / LEAST, f"{LEAST:,}/s", 1, figures),
        Line(what, mine / bare, "raw aiokafka reading the same records", None, against),
    ]


def _records() -> dict[str, list[Outgoing]]:
    """By topic: events of every control type in turn, in streams of 10."""
    controls = [payload for payload in PAYLOADS if not isinstance(payload, BatchPayload)]
    made: dict[str, list[Outgoing]] = {}
    for number in range(EVENTS):
        turn, kind = divmod(number, len(controls))
        stream, place = divmod(turn, STREAM_LENGTH)
        event = replace(sample(controls[kind]), id=new_id(), subject=f"bench/{kind}.{stream}", sequence=place + 1)
        made.setdefault(topic_of(event.data), []).append(encode(event))
    return made
