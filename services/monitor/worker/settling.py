"""For a check of the views: what brings them to where their consumers have got, and how windows are compared.

Which source counted an outcome depends on what came first, the outcome or its prediction, and on whether the sweep
found it; all sources of a window together do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.monitor.domain.coding import decode, encode
from services.monitor.projection import BATCHES
from services.monitor.worker.joining import in_chunks
from services.monitor.worker.measuring import merged
from services.monitor.worker.sweeping import Sweeping
from services.monitor.worker.tables import Tables
from shared.log.store import Store
from shared.log.tables import Change, Delete, Query, Row, Where, cursor_of, equal
from shared.runtime.service import Merging, Service
from shared.runtime.tasks import Periodic

PART = 500
MAX_DEPLOYMENTS = 100_000


def windows_merged(rows: Sequence[Row]) -> Row:
    """The states of one window's sources as one. Left out is what only tells the job that measures when to look.

    Raises ValueError for a state that was not written here: bits that reading passes over.
    """
    if any(encode(decode(row["state"])) != row["state"] for row in rows):
        raise ValueError("a state that is not as it would be written")
    sketch = merged(rows)
    same = {name: rows[0][name] for name in ("deployment", "version", "window_start", "window_end", "model")}
    return same | {"predictions": sketch.predictions, "state": encode(sketch)}


MERGING = {"window_states": Merging(("deployment", "version", "window_start"), windows_merged)}


def settles(service: Service) -> list[Periodic]:
    """The sweep of outcomes that wait, and the forgetting of what expired."""
    tables, seconds = Tables(service.log), service.settings.window_measure_seconds
    sweeping = Sweeping(service.store, tables, service.settings, service.live)
    return [
        Periodic("monitor.sweep", seconds, sweeping.whole),
        Periodic("monitor.forget", seconds, Forgetting(service.store, tables).run),
    ]


@dataclass(slots=True)
class Forgetting:
    """Forgets the clients' own ids of batches that expired, as the archive's sweep does, once for each moment up to
    which a deployment's predictions expired."""

    store: Store
    tables: Tables
    _done: dict[str, datetime] = field(default_factory=dict[str, datetime])

    async def run(self) -> None:
        """Go through what the log said has expired."""
        for row in await self.store.find(Query("expired", limit=MAX_DEPLOYMENTS)):
            if self._done.get(row["deployment"]) != row["before"]:
                await self._deployment(row["deployment"], row["before"])
                self._done[row["deployment"]] = row["before"]

    async def _deployment(self, deployment: str, before: datetime) -> None:
        where = (*equal(deployment=deployment, client_ids=True), Where("end", "<", before))
        query = Query("batches", where, limit=PART)
        while rows := await self.store.find(query):
            for row in rows:
                await self._batch(row)
            if len(rows) < PART:
                return
            query = Query("batches", where, limit=PART, after=cursor_of(BATCHES, query, rows[-1]))

    async def _batch(self, row: Row) -> None:
        names = (await self.tables.whole(row)).column("prediction_id").to_pylist()
        async with self.store.begin() as unit:
            known = await in_chunks(unit, "prediction_ids", "prediction_id", [name for name in names if name])
            gone: list[Change] = [
                Delete("prediction_ids", {"prediction_id": one["prediction_id"]})
                for one in known
                if one["batch"] == row["batch"]
            ]
            await unit.apply(gone)
