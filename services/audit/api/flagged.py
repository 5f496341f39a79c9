"""Flags that stand for many predictions: which of them stand for this one."""

from collections.abc import Sequence

import pyarrow.compute as pc

from services.audit.api.reader import Reader
from shared.events import batches
from shared.events.codec import decode
from shared.events.feedback import PredictionsFlagged
from shared.log.log import EventLog, OffsetOutOfRange
from shared.log.records import TopicPartition
from shared.log.tables import Query, Where

MAX_PARTS = 2_000
_PLACE = ("node", "topic", "partition", "offset")


async def many_with(log: EventLog, reader: Reader, nodes: Sequence[str], batch: str, row: int) -> set[str]:
    """Of these flags (nodes) those with a part that names this row of this batch. Parts are read from the log; one that
    it no longer holds counts as if it did, since the graph says that it is about the batch."""
    if not nodes:
        return set()
    where = (Where("node", "in", list(nodes)), Where("type", "=", "PredictionsFlagged"), *reader.moment.events)
    parts = await reader.store.find(Query("ledger", where, ("recorded",), MAX_PARTS, columns=_PLACE))
    found: set[str] = set()
    for part in parts:
        if part["node"] not in found and await _names(log, part, batch, row):
            found.add(part["node"])
    return found


async def _names(log: EventLog, part: dict[str, object], batch: str, row: int) -> bool:
    place = TopicPartition(str(part["topic"]), int(str(part["partition"])))
    try:
        records = await log.read(place, int(str(part["offset"])), 1)
    except OffsetOutOfRange:
        return True
    if not records:
        return True
    event = decode(records[0])
    if not isinstance(event.data, PredictionsFlagged) or batch not in event.data.batches or event.table is None:
        return False
    table = batches.read(event.table)
    rows = table.filter(pc.equal(table.column("batch"), batch)).column("row")  # type: ignore[attr-defined]
    return row in rows.to_pylist()
