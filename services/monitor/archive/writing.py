"""Batches off the log into the archive, each once: many of one kind as a block at once, few into the store for now.

The file of a block is written first; its row, the index and the consumer's offset follow in one transaction. A process
killed in between leaves a file that nothing names, and `sweeping` removes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

import pyarrow as pa

from services.monitor.archive import blocks
from services.monitor.archive.blocks import Group, Part
from services.monitor.archive.files import Files, in_thread
from shared.events import batches
from shared.events.monitor import PredictionLogged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Where, enough
from shared.runtime.commands import new_id
from shared.runtime.consumer import Received
from shared.runtime.settings import Settings

CONSUMER = "monitor.archive"


@dataclass(slots=True)
class Writing:
    """Archives records of one partition of muniment.predictions within a unit of work."""

    files: Files
    settings: Settings

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        """Raises ValueError for a batch that is not what it says; it goes to the dead letters."""
        fresh = await _fresh(unit, received)
        groups: dict[Group, list[tuple[Received, Part]]] = {}
        for item in fresh:
            group, part = _part(item)
            groups.setdefault(group, []).append((item, part))
        changes: list[Change] = []
        for group, found in groups.items():
            changes += await self._archived(group, found)
        await unit.apply(changes)

    async def _archived(self, group: Group, found: Sequence[tuple[Received, Part]]) -> list[Change]:
        parts = [part for _, part in found]
        if sum(part.table.num_rows for part in parts) >= self.settings.archive_direct_rows:
            return await in_thread(blocks.write, self.files, group, new_id(), parts)
        return [_young(group, item, part) for item, part in found]


async def _fresh(unit: UnitOfWork, received: Sequence[Received]) -> list[Received]:
    ids = [item.event.id for item in received]
    seen = {row["batch"] for name in ("archive_index", "archive_young") for row in await _known(unit, name, ids)}
    fresh: list[Received] = []
    for item in received:
        if item.event.id not in seen and isinstance(item.event.data, PredictionLogged):
            seen.add(item.event.id)
            fresh.append(item)
    return fresh


async def _known(unit: UnitOfWork, table: str, ids: Sequence[str]) -> list[dict[str, str]]:
    return await unit.find(Query(table, (Where("batch", "in", list(ids)),), limit=enough(len(ids)), columns=("batch",)))


def _part(item: Received) -> tuple[Group, Part]:
    data = item.event.data
    assert isinstance(data, PredictionLogged)  # noqa: S101  _fresh lets nothing else through
    table = batches.read(item.event.table or b"")
    if table.num_rows != data.rows or not table.num_rows:
        raise ValueError(f"a batch of {table.num_rows} rows says that it has {data.rows}")
    day = data.start.astimezone(UTC).date().isoformat()
    group = Group(data.deployment, data.model, data.version, day, blocks.layout_of(table.schema))
    return group, Part(item.event.id, data.start, data.end, table)


def _young(group: Group, item: Received, part: Part) -> Change:
    return Put(
        "archive_young",
        {
            "batch": part.batch,
            "deployment": group.deployment,
            "model": group.model,
            "version": group.version,
            "day": group.day,
            "layout": group.layout,
            "rows": part.table.num_rows,
            "start": part.start,
            "end": part.end,
            "arrived": item.record.recorded,
            "data": packed(part.table),
        },
    )


def packed(table: pa.RecordBatch) -> bytes:
    """A batch as a compressed Arrow IPC stream, which `batches.read` reads."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(table)
    return sink.getvalue().to_pybytes()
