"""Where predictions lie: batches and clients' ids off the log, and the flags that wait for them."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from services.feedback.domain.flags import Place
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.log import EventLog
from shared.log.records import Record, TopicPartition
from shared.log.tables import Query, Row, Where

CHUNK = 1_000
MAX_KNOWN = 10_000
AT_ONCE = 200
"""Records read off the log at once, each of which may be megabytes."""


class Finder(Protocol):
    """A store, or a unit of work on it."""

    async def get(self, table: str, *key: object) -> Row | None: ...

    async def find(self, query: Query) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Remembering:
    """A reader that asks for each batch once: what is known of a batch never changes. `batches`: those known so far,
    at most MAX_KNOWN."""

    reader: Finder
    batches: dict[str, Row]

    async def get(self, table: str, *key: object) -> Row | None:
        """A row, as the reader gives it."""
        if table != "batches":
            return await self.reader.get(table, *key)
        name = str(key[0])
        row = self.batches.get(name) or await self.reader.get(table, name)
        if row is not None:
            if len(self.batches) >= MAX_KNOWN and name not in self.batches:
                del self.batches[next(iter(self.batches))]
            self.batches[name] = row
        return row

    async def find(self, query: Query) -> list[Row]:
        """Rows, as the reader gives them."""
        return await self.reader.find(query)


class NoSuchRow(Exception):
    """A prediction id names a known batch, and a row that it does not have."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What feedback keeps of a batch: the clients' ids with their rows, and predictions by (day, segment),
    none where a constant answered: no version can be blamed for them."""

    ids: tuple[tuple[str, int], ...] = ()
    volumes: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])


def logged(event: Event, record: Record) -> Logged | None:
    """Fold a batch of predictions; None for anything else. Pure. Raises TornBatch."""
    if not isinstance(event.data, PredictionLogged) or event.table is None:
        return None
    table = batches.read(event.table)
    ids: tuple[tuple[str, int], ...] = ()
    if event.data.client_ids:
        names = table.column("prediction_id").to_pylist()
        ids = tuple((name, row) for row, name in enumerate(names) if name is not None)
    return Logged(ids) if event.data.fallback else Logged(ids, _volumes(table))


async def place_of(reader: Finder, prediction_id: str) -> Place | None:
    """Where a prediction lies; None while its batch or its client's id is not known (yet). Raises NoSuchRow."""
    parsed = batches.parse_prediction_id(prediction_id)
    if parsed is None:
        known = await reader.get("client_ids", prediction_id)
        parsed = (known["batch"], known["row"]) if known else None
    batch = await reader.get("batches", parsed[0]) if parsed else None
    if batch is None or parsed is None:
        return None
    if parsed[1] >= batch["rows"]:
        raise NoSuchRow(f"Batch {parsed[0]} has no row {parsed[1]}.")
    return Place(batch["deployment"], batch["model"], batch["version"], batch["batch"], parsed[1])


async def in_chunks(reader: Finder, table: str, column: str, values: Iterable[str]) -> list[Row]:
    """All rows whose column is one of these values, of which each names at most one row."""
    wanted = sorted(set(values))
    found: list[Row] = []
    for start in range(0, len(wanted), CHUNK):
        found += await reader.find(Query(table, (Where(column, "in", wanted[start : start + CHUNK]),), limit=CHUNK))
    return found


async def tables_of(log: EventLog, rows: Sequence[Row]) -> AsyncIterator[tuple[Row, pa.RecordBatch]]:
    """The predictions of batches (rows of the view `batches`) off the log, in the order of partition and offset;
    neighbours are read together. Raises LogUnavailable, OffsetOutOfRange, LookupError where a batch is gone."""
    wanted: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["partition"], row["offset"])):
        wanted.setdefault(row["partition"], []).append(row)
    for partition, waiting in wanted.items():
        place = TopicPartition(TOPIC_PREDICTIONS, partition)
        while waiting:
            first = waiting[0]["offset"]
            last = max(row["offset"] for row in waiting[:AT_ONCE] if row["offset"] < first + AT_ONCE)
            records = await log.read(place, first, last - first + 1)  # maybe fewer, where they are large
            if not records or records[0].offset != first:
                raise LookupError(f"the log no longer holds {place.topic}[{place.partition}] {first}")
            held = {record.offset: record for record in records}
            while waiting and waiting[0]["offset"] in held:
                row = waiting.pop(0)
                event = decode(held[row["offset"]])
                yield row, batches.read(event.table or b"")


def text_at(table: pa.RecordBatch, column: str, row: int) -> str | None:
    """A text of one row; None where the batch has no such column."""
    return table.column(column)[row].as_py() if column in table.schema.names else None


def _volumes(table: pa.RecordBatch) -> dict[tuple[str, str], int]:
    days = pc.strftime(pc.cast(table.column("at"), pa.timestamp("us")), format="%Y-%m-%d")
    segments = table.column("segment") if "segment" in table.schema.names else pa.nulls(table.num_rows, pa.string())
    grouped = pa.table({"day": days, "segment": pc.fill_null(pc.cast(segments, pa.string()), "")})
    counted = grouped.group_by(["day", "segment"]).aggregate([([], "count_all")])
    return {(one["day"], one["segment"]): one["count_all"] for one in counted.to_pylist()}
