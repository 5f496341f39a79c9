"""The comparison of the log with the views: every record folded anew from offset 0 and laid beside its rows.

The fold makes the rows of each event from that event alone, so comparing event by event shows the same as rebuilding
whole tables and comparing those, and needs the memory of one chunk. Live rows are also walked the other way, so that a
row which no record accounts for is found too.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import orjson

from services.audit.projection import COLUMNS, FOLDED, project
from shared.events.catalog import DATA_TOPICS, TOPICS
from shared.events.codec import Undecodable, decode
from shared.log.log import EventLog
from shared.log.records import Record, TopicPartition
from shared.log.store import Store
from shared.log.tables import Query, Row, Table, Where, enough, equal

CHUNK = 500
DATA_CHUNK = 20
"""Records of batches, each of which may be megabytes."""
PAGE = 2_000
MAX_ROWS = 1_000_000
Rows = dict[str, dict[tuple[Any, ...], Row]]
"""Table name → key → row."""


@dataclass(slots=True)
class Comparison:
    """What a comparison has found so far. `frozen`: the offset before which each partition is compared."""

    frozen: dict[TopicPartition, int]
    events: int = 0
    rows: int = 0
    first_difference: str | None = None
    live: Any = field(default_factory=sha256)
    replayed: Any = field(default_factory=sha256)

    def differ(self, text: str) -> None:
        if self.first_difference is None:
            self.first_difference = text


async def compare(
    log: EventLog, store: Store, frozen: dict[TopicPartition, int], progress: Callable[[Comparison], Awaitable[None]]
) -> Comparison:
    """Compare the views with the log up to `frozen`. Partitions go from last to first, unlike live, where they mix."""
    found = Comparison(frozen)
    for place in sorted(frozen, reverse=True):
        offset = 0
        while offset < frozen[place]:
            count = DATA_CHUNK if place.topic in DATA_TOPICS else CHUNK
            records = [one for one in await _read(log, place, offset, count) if one.offset < frozen[place]]
            if not records:
                found.differ(f"{place.topic}[{place.partition}] holds no record at offset {offset}, which was consumed")
                break
            end = records[-1].offset + 1
            await _chunk(store, found, place, offset, records)
            offset = end
            await progress(found)
    for table in FOLDED:
        await _strangers(log, store, found, table)
    return found


async def _read(log: EventLog, place: TopicPartition, offset: int, count: int) -> list[Record]:
    bounds = (await log.bounds([place.topic]))[place]
    return await log.read(place, max(offset, bounds.begin), count) if bounds.end > offset else []


async def _chunk(store: Store, found: Comparison, place: TopicPartition, start: int, records: Sequence[Record]) -> None:
    """Compare the rows of these records with the live ones that claim to come from the same offsets."""
    ledger = await _ledger_between(store, place, start, records[-1].offset)
    if ledger and records[0].offset > start and ledger[0]["offset"] < records[0].offset:
        found.differ(f"ledger: the log no longer holds {_at(place, ledger[0]['offset'])}")
    folded = [(record, rows) for record in records if (rows := _fold(record)) is not None]
    for record, rows in folded:
        subject = next(iter(rows["ledger"].values()))["subject"]
        if record.key != subject:
            found.differ(f"{_at(place, record.offset)}: its key is {_short(record.key)}, its subject {_short(subject)}")
    repeated = await _entered_elsewhere(store, place, folded, {row["event_id"] for row in ledger})
    expected = [rows for record, rows in folded if (_event_id(rows), record.offset) not in repeated]
    ids = {_event_id(rows) for rows in expected} | {row["event_id"] for row in ledger}
    live = await _live(store, sorted(ids))
    wanted = {_event_id(rows): rows for rows in expected}
    found.events += len(wanted)
    places = {row["event_id"]: row["offset"] for row in ledger}
    places = {event_id: _offset(rows) for event_id, rows in wanted.items()} | places
    for event_id in sorted(places, key=lambda one: (places[one], one in wanted)):  # so that the first in place is told
        _event(found, event_id, wanted.get(event_id, {}), live.get(event_id, {}))


def _at(place: TopicPartition, offset: int) -> str:
    return f"{place.topic}[{place.partition}] offset {offset}"


def _fold(record: Record) -> Rows | None:
    """The rows that the record makes; None where it holds no event (it lies among the dead letters)."""
    try:
        changes = project(decode(record), record)
    except (Undecodable, ValueError):  # attributes that the fold alone reads may be no text; the consumer parks it too
        return None
    rows: Rows = {}
    keys = {table.name: table.key for table in FOLDED}
    for change in changes:
        key = tuple(change.row[name] for name in keys[change.table])
        rows.setdefault(change.table, {})[key] = change.row
    return rows


def _offset(rows: Rows) -> int:
    return next(iter(rows["ledger"].values()))["offset"]


def _event_id(rows: Rows) -> str:
    return next(iter(rows["ledger"]))[0]


async def _entered_elsewhere(
    store: Store, place: TopicPartition, folded: Sequence[tuple[Record, Rows]], here: set[str]
) -> set[tuple[str, int]]:
    """(event id, offset) of records that the log holds a second time: another place of the same id is the one in the
    ledger, and is compared when its turn comes. An id that is in no place at all stays expected, so it is missed."""
    offsets: dict[str, int] = {}
    again: set[tuple[str, int]] = set()
    for record, rows in folded:
        event_id = _event_id(rows)
        if event_id in offsets:
            again.add((event_id, record.offset))
        offsets.setdefault(event_id, record.offset)
    absent = [event_id for event_id in offsets if event_id not in here]
    if absent:
        columns = ("event_id", "topic", "partition", "offset")
        query = Query("ledger", (Where("event_id", "in", absent),), limit=enough(len(absent)), columns=columns)
        for row in await store.find(query):
            earlier = row["offset"] < offsets[row["event_id"]]
            if earlier and (row["topic"], row["partition"]) == (place.topic, place.partition):
                again.add((row["event_id"], offsets[row["event_id"]]))
    return again


async def _ledger_between(store: Store, place: TopicPartition, first: int, last: int) -> list[Row]:
    where = equal(topic=place.topic, partition=place.partition)
    where += (Where("offset", ">=", first), Where("offset", "<=", last))
    columns = ("event_id", "offset")
    return await store.find(Query("ledger", where, ("offset",), limit=last - first + 2, columns=columns))


async def _live(store: Store, ids: list[str]) -> dict[str, Rows]:
    live: dict[str, Rows] = {}
    if not ids:
        return live
    for table in FOLDED:
        for row in await store.find(Query(table.name, (Where("event_id", "in", ids),), limit=MAX_ROWS)):
            key = tuple(row[name] for name in table.key)
            live.setdefault(row["event_id"], {}).setdefault(table.name, {})[key] = row
    return live


def _event(found: Comparison, event_id: str, expected: Rows, live: Rows) -> None:
    """Lay the rows of one event side by side, in the order of their keys."""
    for table in FOLDED:
        wanted, held = expected.get(table.name, {}), live.get(table.name, {})
        for key in sorted(wanted.keys() | held.keys()):
            found.rows += 1
            if key in wanted:
                found.replayed.update(_bytes(table, wanted[key]))
            if key in held:
                found.live.update(_bytes(table, held[key]))
            difference = _difference(table, wanted.get(key), held.get(key))
            if difference:
                row = next(iter({**expected.get("ledger", {}), **live.get("ledger", {})}.values()), None)
                where = f" ({_at(TopicPartition(row['topic'], row['partition']), row['offset'])})" if row else ""
                found.differ(f"{table.name} {_named(table, key)}{where}: {difference}")


def _difference(table: Table, wanted: Row | None, held: Row | None) -> str | None:
    if wanted is None:
        return "the view holds a row that the log does not account for"
    if held is None:
        return "the log accounts for a row that the view does not hold"
    for name in COLUMNS[table.name]:
        if _plain(wanted.get(name)) != _plain(held.get(name)):
            return f"column {name} is {_short(held.get(name))} in the view and {_short(wanted.get(name))} by the log"
    return None


async def _strangers(log: EventLog, store: Store, found: Comparison, table: Table) -> None:
    """Live rows of an event that is not in the ledger, or that the ledger places where the log has nothing."""
    query = Query(table.name, limit=PAGE, columns=tuple(dict.fromkeys((*table.key, "event_id"))))
    while True:
        rows = await store.find(query)
        placed = await _placed(log, store, sorted({row["event_id"] for row in rows}))
        for row in rows:
            if row["event_id"] not in placed:
                key = tuple(row[name] for name in table.key)
                found.live.update(repr((table.name, key)).encode())
                found.differ(f"{table.name} {_named(table, key)}: a row of an event that the log has not")
        if len(rows) < PAGE:
            return
        query = replace(query, after=tuple(rows[-1][name] for name in table.key))


async def _placed(log: EventLog, store: Store, ids: list[str]) -> set[str]:
    """Those of these events that the ledger places within the log."""
    if not ids:
        return set()
    columns = ("event_id", "topic", "partition", "offset")
    known = await store.find(Query("ledger", (Where("event_id", "in", ids),), limit=enough(len(ids)), columns=columns))
    ends = {place: bounds.end for place, bounds in (await log.bounds(TOPICS)).items()}
    return {
        row["event_id"]
        for row in known
        if 0 <= row["offset"] < ends.get(TopicPartition(row["topic"], row["partition"]), 0)
    }


def _named(table: Table, key: tuple[Any, ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(table.key, key, strict=True))


def _bytes(table: Table, row: Row) -> bytes:
    """A row as bytes, the same from whatever store it comes."""
    values = [table.name, *(_plain(row.get(name)) for name in COLUMNS[table.name])]
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")  # as PostgreSQL keeps it
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return value


def _short(value: Any) -> str:
    text = repr(value.hex() if isinstance(value, bytes) else value)
    return text if len(text) <= 200 else text[:200] + "…"
