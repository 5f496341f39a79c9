"""One prediction: found by its id, and read from the log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from services.audit.api.graph import link
from services.audit.api.reader import Reader
from services.audit.projection.lineage.edges import SPECIAL
from shared.events import batches
from shared.log.log import EventLog, OffsetOutOfRange
from shared.log.records import TopicPartition
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.problems import Problem, not_found

FIX = "Give the id that the write answered or its client's own; known_at may lie before it was recorded."


@dataclass(frozen=True, slots=True)
class Located:
    """A prediction's batch (its ledger row), its row there, and what the log holds of it."""

    batch: Row
    row: int
    values: dict[str, Any]

    @property
    def at(self) -> datetime:
        return self.values["at"]

    @property
    def node(self) -> str:
        return f"prediction/{batches.prediction_id(self.batch['event_id'], self.row)}"

    @property
    def nodes(self) -> list[str]:
        """The nodes that speak of this prediction: itself, under its client's own id too, and its batch."""
        own = self.values.get("prediction_id")
        return [self.node, *([f"prediction/{own}"] if own else []), self.batch["node"]]

    def links(self) -> list[Row]:
        """The edges from the prediction to its batch, which follow from its id."""
        *names, batch = self.nodes
        return [link(name, SPECIAL, batch, "row", self.batch) for name in names]


async def locate(log: EventLog, reader: Reader, name: str) -> Located:
    """The prediction of this id, a server's or a client's own. Raises 404 where none was known by then."""
    parsed = batches.parse_prediction_id(name)
    found = await _batch(reader, *parsed) if parsed else None
    if found is None:
        known = (*equal(prediction_id=name), Where("known_at", "<=", reader.moment.known_at))
        rows = await reader.store.find(Query("prediction_ids", known, ("known_at",), limit=1))
        found = await _batch(reader, rows[0]["event_id"], rows[0]["row"]) if rows else None
    if found is None:
        not_found("prediction", name, [], FIX)
    batch, row = found
    table = await table_of(log, batch)
    if row >= table.num_rows:
        batch_id = batch["event_id"]
        raise Problem(
            404, "unknown-prediction", f"Batch {batch_id} has {table.num_rows} rows, counted from 0; not {row}."
        )
    return Located(batch, row, table.slice(row, 1).to_pylist()[0])


async def _batch(reader: Reader, event_id: str, row: int) -> tuple[Row, int] | None:
    found = await reader.store.get("ledger", event_id)
    if found is None or found["type"] != "PredictionLogged" or found["recorded"] > reader.moment.known_at:
        return None
    return found, row


async def table_of(log: EventLog, row: Row) -> pa.RecordBatch:
    """The rows of a batch event, read from the place in the log that its ledger row names."""
    place = TopicPartition(row["topic"], row["partition"])
    try:
        records = await log.read(place, row["offset"], 1)
    except OffsetOutOfRange:
        records = []
    if not records:
        detail = f"The log no longer holds {place.topic}[{place.partition}] offset {row['offset']}."
        raise Problem(410, "not-in-the-log", detail, "Restore the log from its backup.")
    return batches.read(records[0].value)
