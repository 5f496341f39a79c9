"""One prediction with all that is known of it: out of the archive, or out of the log while it is not archived yet."""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from services.monitor.archive.files import Files, Unreadable
from services.monitor.archive.reading import Archive
from services.monitor.domain.outcomes import decode
from services.monitor.worker.states import moment
from services.monitor.worker.tables import Tables
from shared.events import batches
from shared.log.log import OffsetOutOfRange
from shared.log.store import Store
from shared.log.tables import Row
from shared.runtime.problems import Problem
from shared.runtime.service import Service


@dataclass(frozen=True, slots=True)
class Case:
    """A prediction. `batch`: its row of the view `batches`; `values`: its columns."""

    id: str
    batch: Row
    row: int
    values: dict[str, Any]

    @property
    def features(self) -> dict[str, Any]:
        return batches.group(self.values, batches.FEATURE)

    @property
    def output(self) -> dict[str, Any]:
        return batches.group(self.values, batches.OUTPUT)


@dataclass(slots=True)
class Cases:
    """Finds predictions by the server's id or the client's own."""

    store: Store
    archive: Archive
    tables: Tables

    @classmethod
    def of(cls, service: Service) -> "Cases":
        archive = Archive(service.store, Files.of(service.settings))
        return cls(service.store, archive, Tables(service.log))

    async def find(self, prediction_id: str) -> Case:
        """Raises Problem: 404 where there is none, 410 where its retention is over, 503 where its block is gone."""
        place = await self._place(prediction_id)
        if place is None:
            raise _unknown(prediction_id)
        row, archived = await asyncio.gather(self.store.get("batches", place[0]), self._archived(*place))
        if row is None or place[1] >= row["rows"]:
            raise _unknown(prediction_id)
        values = archived if isinstance(archived, dict) else await self._logged(row, place[1], archived)
        return Case(prediction_id, row, place[1], values)

    async def truth(self, batch: str, row: int) -> dict[str, Any] | None:
        """What came true: `{value, at, told_at}`, or None while nothing is known."""
        found = await self.store.get("truths", batch)
        if found is None:
            return None
        truth = decode(found["truth"])
        value = float(truth.values[row])
        if math.isnan(value):
            return None
        return {"value": value, "at": moment(int(truth.at[row])), "told_at": moment(int(truth.told[row]))}

    async def _place(self, prediction_id: str) -> tuple[str, int] | None:
        given = batches.parse_prediction_id(prediction_id)
        if given is not None:
            return given
        row = await self.store.get("prediction_ids", prediction_id)
        return (row["batch"], row["row"]) if row is not None else None

    async def _archived(self, batch: str, number: int) -> dict[str, Any] | Unreadable | None:
        """The archive's answer, or why it has none."""
        try:
            return await self.archive.row(batch, number)
        except Unreadable as error:
            return error

    async def _logged(self, row: Row, number: int, gone: Unreadable | None) -> dict[str, Any]:
        await self._still_kept(row)
        try:
            return (await self.tables.whole(row)).slice(number, 1).to_pylist()[0]
        except OffsetOutOfRange as error:
            detail = f"Neither the archive nor the log holds batch {row['batch']}: {gone or error}."
            raise Problem(503, "prediction-unreadable", detail, "Restore the archive's files.") from error

    async def _still_kept(self, row: Row) -> None:
        expired = await self.store.get("expired", row["deployment"])
        if expired is not None and row["end"] < expired["before"]:
            detail = f"Predictions of '{row['deployment']}' before {expired['before']:%Y-%m-%d} are no longer kept."
            fix = "See the deployment's retention; the log's events tell when they expired."
            raise Problem(410, "prediction-expired", detail, fix)


def _unknown(prediction_id: str) -> Problem:
    detail = f"There is no prediction '{prediction_id:.200}'."
    fix = "Ids are those that its answer gave; what was just taken may need a moment to be seen here."
    return Problem(404, "unknown-prediction", detail, fix)
