"""Whatever the order in which partitions are read and whatever comes twice, the tables are the same."""

import asyncio
from collections import Counter
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.projection import FOLDED, TABLES, fold
from services.audit.worker import record_all
from shared.events.catalog import TOPICS, topic_of
from shared.events.codec import decode
from shared.events.envelope import BatchPayload, Event
from shared.log.memory import MemoryLog, MemoryStore
from shared.log.records import Record
from shared.log.tables import Query
from shared.runtime.consumer import Consumer
from shared.runtime.settings import Settings
from tests.replay.samples import PAYLOADS
from tests.unit.audit.facts import event, logged, predictions, stored


def world() -> list[list[Record]]:
    """Partitions with records, in order; batches come twice, as after a retry."""
    partitions: dict[tuple[str, int], list[Record]] = {}
    lengths: Counter[str] = Counter()
    events: list[Event] = []
    for number, payload in enumerate(PAYLOADS, 1):
        if not isinstance(payload, BatchPayload):
            subject = f"{topic_of(payload)}/{number % 5}"
            lengths[subject] += 1
            events.append(event(number, payload, subject, lengths[subject], happened=number, recorded=100 + number))
    for number in (91, 92, 91):
        events.append(
            event(number, logged(True), f"batch/{number}", 0, happened=5, table=predictions(["a", f"{number}"]))
        )
    for one in events:
        place = (stored(one).topic, len(one.subject) % 2)
        records = partitions.setdefault(place, [])
        records.append(stored(one, place[1], len(records)))
    return list(partitions.values())


WORLD = world()


def tables(chunks: list[list[Record]]) -> dict[str, list]:
    async def consume() -> dict[str, list]:
        store = MemoryStore("audit", TABLES)
        consumer = Consumer("audit.ledger", TOPICS, MemoryLog(2), store, record_all, Settings(), fold=fold)
        for chunk in chunks:
            for place, records in groupby(chunk, key=lambda record: record.place):
                await consumer.catch_up(place, list(records))
        async with store.begin() as unit:
            assert not await unit.dead_letters()
        return {table.name: await store.find(Query(table.name, limit=10_000)) for table in FOLDED}

    return asyncio.run(consume())


IN_ORDER = tables(WORLD)


@st.composite
def interleavings(draw):
    """The same records, partitions mixed at will, in chunks at will, some chunks delivered again."""
    waiting = [list(records) for records in WORLD]
    mixed: list[Record] = []
    while any(waiting):
        chosen = draw(st.sampled_from([records for records in waiting if records]))
        for _ in range(draw(st.integers(1, 8))):
            if chosen:
                mixed.append(chosen.pop(0))
    sizes = draw(st.integers(1, 12))
    chunks = [mixed[start : start + sizes] for start in range(0, len(mixed), sizes)]
    again = draw(st.lists(st.integers(0, len(chunks) - 1), max_size=3))
    return [chunk for number, chunk in enumerate(chunks) for _ in range(1 + again.count(number))]


@given(interleavings())
@settings(max_examples=50, deadline=None)
def test_any_interleaving_and_redelivery_gives_the_same_tables(chunks):
    assert tables(chunks) == IN_ORDER


def test_the_world_has_what_the_property_needs():
    ids = [row["event_id"] for row in IN_ORDER["ledger"]]
    assert len(ids) == len({decode(record).id for records in WORLD for record in records})
    assert sum(len(records) for records in WORLD) == len(ids) + 1
    assert len(list(groupby(IN_ORDER["prediction_ids"], key=lambda row: row["event_id"]))) == 2
