"""What came from the log on its way to a handler: opened, parted from what waits and from what came before. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.events.codec import Undecodable, decode, header
from shared.events.envelope import Event
from shared.log.records import Record, TopicPartition

WAITS = "waits behind an earlier dead letter of the same key"


@dataclass(frozen=True, slots=True)
class Received:
    """`folded`: what the consumer's `fold` made of the event, where it has one and there was time to do it ahead."""

    event: Event
    record: Record
    folded: Any = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A record of a type that the consumer does not ask for: only its offset counts."""


Opened = Received | Passed | str
"""A record that holds an event, or why it holds none, or one that is not asked for."""

Slice = list[tuple[TopicPartition, Sequence[Record]]]
"""Records of several partitions that share a unit of work."""

Refused = list[tuple[Record, str]]
"""Records for the dead letters, and why."""


def open_record(
    record: Record, fold: Callable[[Event, Record], Any] | None = None, types: Collection[str] = ()
) -> Opened:
    """The event of a record, folded where there is a fold; or why it holds none. `types`: of events that are asked for
    (none: of every type); the rest is not decoded."""
    if types and header(record.headers, "ce_type") not in types:
        return Passed()
    try:
        event = decode(record)
    except Undecodable as error:
        return str(error)
    try:
        return Received(event, record, fold(event, record) if fold else None)
    except Exception:  # the handler will meet it again, where the record is alone and can be parked for it
        return Received(event, record)


def portions(polled: Mapping[TopicPartition, Sequence[Record]], size: int) -> list[Slice]:
    """What was polled, in portions of at most `size` records."""
    slices: list[Slice] = []
    room = 0
    for place, records in polled.items():
        start = 0
        while start < len(records):
            if room == 0:
                slices.append([])
                room = size
            portion = records[start : start + room]
            slices[-1].append((place, portion))
            start += len(portion)
            room -= len(portion)
    return slices


def by_partition(slice_: Slice) -> Slice:
    """The same records, each partition once."""
    gathered: dict[TopicPartition, list[Record]] = {}
    for place, records in slice_:
        gathered.setdefault(place, []).extend(records)
    return list(gathered.items())


def held_back(
    records: Sequence[Record], opened: Sequence[Opened], parked: Collection[tuple[str, str]]
) -> tuple[list[Received], Refused]:
    """What may go on, and what may not: what holds no event, and all behind it or behind a parked (topic, key)."""
    received: list[Received] = []
    refused: Refused = []
    blocked = set(parked)
    for record, one in zip(records, opened, strict=True):
        if isinstance(one, Passed):
            continue
        if isinstance(one, str):
            refused.append((record, one))
        elif blocked and (record.topic, record.key) in blocked:
            refused.append((record, WAITS))
        else:
            received.append(one)
            continue
        blocked.add((record.topic, record.key))
    return received, refused


def in_sequence(
    received: Sequence[Received], known: Mapping[str, int]
) -> tuple[list[Received], Refused, dict[str, int]]:
    """What was not applied before, what came too early, and where each stream stands after it.

    `known`: the last sequence applied of each subject. Direct records (sequence 0) pass: their handler knows them by
    their id.
    """
    heads: dict[str, int] = {}
    fresh: list[Received] = []
    refused: Refused = []
    gaps: set[str] = set()
    for item in received:
        event = item.event
        if not event.sequence:
            fresh.append(item)
            continue
        head = heads.get(event.subject, known.get(event.subject, 0))
        if event.sequence <= head:
            continue
        if event.sequence > head + 1 or event.subject in gaps:
            refused.append((item.record, f"gap in {event.subject}: sequence {event.sequence} came after {head}"))
            gaps.add(event.subject)
            continue
        heads[event.subject] = event.sequence
        fresh.append(item)
    return fresh, refused, heads
