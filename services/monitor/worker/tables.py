"""Record batches of predictions out of the log, and what outcomes need of them: times, segments and outputs.

Reading the log at a place costs some ten milliseconds, reading on from there hardly more. So a read brings the batches
behind it along, since outcomes mostly come in the order of their predictions.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared.events import batches
from shared.events.codec import header
from shared.log.log import EventLog
from shared.log.records import Record, TopicPartition
from shared.log.tables import Row

YOUNG_BYTES = 16 * 2**20
OLD_BYTES = 32 * 2**20
AHEAD = 32


@dataclass(slots=True)
class Kept:
    """Bytes by name, `most` of them at most; the ones used least lately go."""

    most: int
    _values: "OrderedDict[str, bytes]" = field(default_factory=OrderedDict[str, bytes])
    _size: int = 0

    def put(self, name: str, value: bytes) -> None:
        self._size += len(value) - len(self._values.pop(name, b""))
        self._values[name] = value
        while self._size > self.most:
            _, dropped = self._values.popitem(last=False)
            self._size -= len(dropped)

    def get(self, name: str) -> bytes | None:
        if name in self._values:
            self._values.move_to_end(name)
        return self._values.get(name)


@dataclass(slots=True)
class Tables:
    """Batches of predictions: the youngest whole as they came, older ones without features. Nothing here gets stale."""

    log: EventLog
    _young: Kept = field(default_factory=lambda: Kept(YOUNG_BYTES))
    _old: Kept = field(default_factory=lambda: Kept(OLD_BYTES))

    def keep(self, batch: str, table: bytes) -> None:
        """Remember a batch that was just folded."""
        self._young.put(batch, table)

    async def outputs(self, row: Row, also: Sequence[str] = ()) -> pa.RecordBatch:
        """`at`, `segment`, outputs and the columns named of a row of the view `batches`.

        Raises LogUnavailable, OffsetOutOfRange.
        """
        kept = self._young.get(row["batch"]) or self._old.get(_name(row["batch"], also))
        if kept is None:
            kept = await self._read_on(row, also)
        return _slim(batches.read(kept), also)

    async def whole(self, row: Row) -> pa.RecordBatch:
        """All columns of a row of the view `batches`. Raises LogUnavailable, OffsetOutOfRange."""
        return batches.read(self._first(row, await self.log.read(*_place(row))).value)

    async def _read_on(self, row: Row, also: Sequence[str]) -> bytes:
        records = await self.log.read(*_place(row), AHEAD)
        self._first(row, records)
        for record in reversed(records):
            name = header(record.headers, "ce_id")
            if name is not None:
                self._old.put(_name(name, also), _slimmed(record, also))
        kept = self._old.get(_name(row["batch"], also))
        return kept if kept is not None else records[0].value

    def _first(self, row: Row, records: list[Record]) -> Record:
        if not records or header(records[0].headers, "ce_id") != row["batch"]:
            raise ValueError(f"the log does not hold batch {row['batch']} at {_place(row)}")
        return records[0]


def _place(row: Row) -> tuple[TopicPartition, int]:
    return TopicPartition(row["topic"], row["partition"]), row["offset"]


def _name(batch: str, also: Sequence[str]) -> str:
    """What a batch with these columns is kept under."""
    return "\n".join([batch, *also])


def _slimmed(record: Record, also: Sequence[str]) -> bytes:
    try:
        return batches.write(_slim(batches.read(record.value), also))
    except batches.TornBatch:  # its own consumer tells of it
        return b""


def _slim(batch: pa.RecordBatch, also: Sequence[str]) -> pa.RecordBatch:
    return batch.select([name for name in batch.schema.names if _needed(name) or name in also])


def _needed(name: str) -> bool:
    return name in ("at", "segment") or name.startswith(batches.OUTPUT)
