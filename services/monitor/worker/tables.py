"""Record batches of predictions out of the log: from memory while they are young, else read at their place."""

from collections import OrderedDict
from dataclasses import dataclass, field

import pyarrow as pa

from shared.events import batches
from shared.log.log import EventLog
from shared.log.records import TopicPartition
from shared.log.tables import Row

MAX_BYTES = 32 * 2**20


@dataclass(slots=True)
class Tables:
    """Arrow bytes of the batches last seen, MAX_BYTES at most. The log never changes, so nothing gets stale."""

    log: EventLog
    _kept: "OrderedDict[str, bytes]" = field(default_factory=OrderedDict[str, bytes])
    _size: int = 0

    def keep(self, batch: str, table: bytes) -> None:
        """Remember a batch; the ones used least lately go."""
        self._size += len(table) - len(self._kept.pop(batch, b""))
        self._kept[batch] = table
        while self._size > MAX_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)

    async def of(self, row: Row) -> pa.RecordBatch:
        """The record batch of a row of the view `batches`. Raises LogUnavailable, OffsetOutOfRange."""
        batch = row["batch"]
        if batch in self._kept:
            self._kept.move_to_end(batch)
            return batches.read(self._kept[batch])
        place = TopicPartition(row["topic"], row["partition"])
        records = await self.log.read(place, row["offset"])
        if not records:
            raise ValueError(f"the log holds nothing at {row['offset']} of {place}, where batch {batch} was")
        self.keep(batch, records[0].value)
        return batches.read(records[0].value)
