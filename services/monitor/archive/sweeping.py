"""What is no longer wanted: files that no block names, and predictions older than their deployment's retention."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa
import structlog

from services.monitor.archive import blocks
from services.monitor.archive.blocks import block_of
from services.monitor.archive.files import Files, Unreadable, in_thread
from services.monitor.domain import retention
from services.monitor.domain.retention import Expire
from shared.events import batches
from shared.log.store import Store, UnitOfWork
from shared.log.tables import Change, Delete, Query, Row, Where, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

logger = structlog.get_logger()

ACTOR = "monitor"
PART = 200
CHUNK = 1_000
OWN_ID = "prediction_id"
MAX_DEPLOYMENTS = 100_000


@dataclass(slots=True)
class Sweeping:
    """Runs now and then; one worker at a time."""

    service: Service
    files: Files

    async def run(self) -> None:
        """Expire what is too old, then remove files that nothing names."""
        for deployment, days in (await self._policies()).items():
            if days > 0:
                await self._expire(deployment, days)
        await self._orphans()

    async def _policies(self) -> dict[str, int]:
        """Days of retention by deployment."""
        store, default = self.service.store, self.service.settings.archive_retention_days
        known = await store.find(Query("deployments", limit=MAX_DEPLOYMENTS, columns=("deployment",)))
        policies = {row["deployment"]: default for row in known}
        set_here = await store.find(Query("retention", limit=MAX_DEPLOYMENTS))
        return policies | {row["deployment"]: row["days"] for row in set_here}

    async def _expire(self, deployment: str, days: int) -> None:
        before = midnight(now()) - timedelta(days=days)
        where = (*equal(deployment=deployment), Where("end", "<", before))
        while await self._expire_part(deployment, days, before, where):
            continue

    async def _expire_part(self, deployment: str, days: int, before: datetime, where: tuple[Where, ...]) -> bool:
        """One block or some young batches less; whether there may be more. Files go once that is on record."""
        async with self.service.store.begin() as unit:
            await unit.lock([f"monitor.retention/{deployment}"])
            found = await unit.find(Query("archive_blocks", where, limit=1, columns=("block", "path", "rows")))
            young = [] if found else await unit.find(Query("archive_young", where, limit=PART))
            if not found and not young:
                return False
            names = [row["batch"] for row in young] or await _batches(unit, found[0]["block"])
            gone: list[Change] = [Delete("archive_blocks", {"block": row["block"]}) for row in found]
            gone += [Delete(table, {"batch": name}) for name in names for table in ("archive_index", "archive_young")]
            own = await in_thread(self._own_ids, found, young)
            await unit.apply(gone + await _forgotten(unit, own, set(names)))
            rows = sum(row["rows"] for row in found or young)
            command = Expire(deployment, before, days, rows, len(names))
            context = Context(ACTOR, now(), new_id())
            await self.service.commands.handle_in(unit, retention, f"retention/{deployment}", command, context)
        for row in found:
            await in_thread(self.files.delete, row["path"])
        return True

    def _own_ids(self, found: list[Row], young: list[Row]) -> list[str]:
        """The clients' own ids in a block, or in young batches. A file that is gone already names none."""
        tables: Iterable[pa.Table | pa.RecordBatch] = [batches.read(row["data"]) for row in young]
        try:
            tables = list(tables) + [one for row in found for one in blocks.groups(self.files, row["path"])]
        except Unreadable as error:
            logger.warning("expired block not readable", reason=str(error))
        named = [one.column(OWN_ID).to_pylist() for one in tables if OWN_ID in one.schema.names]
        return [name for names in named for name in names]

    async def _orphans(self) -> None:
        settings = self.service.settings
        youngest = timedelta(seconds=settings.archive_orphan_seconds)
        oldest = timedelta(days=settings.archive_orphan_days)
        paths = await in_thread(lambda: list(self.files.paths()))
        ages = {path: age(block_of(path)) for path in paths}
        young = [path for path, old in ages.items() if old is not None and oldest > old >= youngest]
        for place in range(0, len(young), PART):
            part = young[place : place + PART]
            for path in await _unnamed(self.service.store, part):
                logger.warning("file without a block removed", path=path)
                await in_thread(self.files.delete, path)


def midnight(at: datetime) -> datetime:
    """The begin of the UTC day."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def age(block: str) -> timedelta | None:
    """How long ago a block was named (its id is a UUIDv7: first milliseconds in 48 bits); None for other names."""
    try:
        named = datetime.fromtimestamp((UUID(block).int >> 80) / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return now() - named


async def _unnamed(store: Store, paths: list[str]) -> list[str]:
    names = [block_of(path) for path in paths]
    rows = await store.find(Query("archive_blocks", (Where("block", "in", names),), limit=PART, columns=("block",)))
    known = {row["block"] for row in rows}
    return [path for path, name in zip(paths, names, strict=True) if name not in known]


async def _batches(unit: UnitOfWork, block: str) -> list[str]:
    rows = await unit.find(Query("archive_index", equal(block=block), limit=1_000_000, columns=("batch",)))
    return [row["batch"] for row in rows]


async def _forgotten(unit: UnitOfWork, own: list[str], names: set[str]) -> list[Change]:
    """Clients' own ids of these batches are forgotten too."""
    changes: list[Change] = []
    for place in range(0, len(own), CHUNK):
        chunk = own[place : place + CHUNK]
        rows = await unit.find(Query("prediction_ids", (Where("prediction_id", "in", chunk),), limit=CHUNK))
        keys = [row["prediction_id"] for row in rows if row["batch"] in names]
        changes += [Delete("prediction_ids", {"prediction_id": key}) for key in keys]
    return changes
