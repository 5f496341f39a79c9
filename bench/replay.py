"""Control events from Kafka into audit's ledger and lineage in PostgreSQL, against reading the same records raw."""

from collections.abc import Iterator

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
        for topic, records in portions(EVENTS):
            await service.log.publish(topic, records)
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


def portions(events: int) -> Iterator[tuple[str, list[Outgoing]]]:
    """So many events of every control type in turn, in streams of 10: by topic, some at a time."""
    controls = [payload for payload in PAYLOADS if not isinstance(payload, BatchPayload)]
    moulds = [(topic_of(payload), encode(sample(payload))) for payload in controls]
    waiting: dict[str, list[Outgoing]] = {}
    for number in range(events):
        turn, kind = divmod(number, len(moulds))
        stream, place = divmod(turn, STREAM_LENGTH)
        topic, mould = moulds[kind]
        waiting.setdefault(topic, []).append(_moulded(mould, f"bench/{kind}.{stream}", place + 1))
        if len(waiting[topic]) == PUBLISHED_AT_ONCE:
            yield topic, waiting.pop(topic)
    yield from waiting.items()


def _moulded(mould: Outgoing, subject: str, sequence: int) -> Outgoing:
    """The same event with a name of its own, at a place of a stream."""
    own = {"ce_id": new_id().encode(), "ce_subject": subject.encode(), "ce_sequence": b"%d" % sequence}
    return Outgoing(subject, tuple((name, own.get(name, value)) for name, value in mould.headers), mould.value)
