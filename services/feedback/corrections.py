"""What experts corrected, row by row, with what the model was given and said: a data set to train on.

Values that are personal stay sealed, as the log holds them.
"""

# pyright: reportAttributeAccessIssue=false

import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.feedback.domain.flags import number_of
from services.feedback.projection.parts import rows_of
from services.feedback.worker.places import in_chunks, tables_of
from shared.events import batches
from shared.log.tables import Query, Row, equal
from shared.runtime.predictions import times_column
from shared.runtime.service import Service

PAGE = 500


@dataclass(frozen=True, slots=True)
class Corrected:
    """What came true of one prediction by an expert's word."""

    value: float
    flag: str
    raised_by: str
    resolved_by: str
    resolved_at: datetime


@dataclass(slots=True)
class Corrections:
    """batch → row → what was corrected; the last word about a prediction counts."""

    rows: dict[str, dict[int, Corrected]] = field(default_factory=dict[str, dict[int, Corrected]])
    count: int = 0

    def add(self, batch: str, row: int, said: Corrected) -> None:
        of = self.rows.setdefault(batch, {})
        self.count += row not in of
        if row not in of or of[row].resolved_at <= said.resolved_at:
            of[row] = said

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(sorted({said.flag for of in self.rows.values() for said in of.values()}))


async def corrected(service: Service, deployment: str, most: int) -> Corrections:
    """All corrected labels of a deployment; stops once there are more than `most`."""
    found = Corrections()
    where = equal(deployment=deployment, resolution="label_corrected")
    async for flag in _all(service, Query("flags", where, (), PAGE), ("id",)):
        for one in [flag, *await service.store.find(Query("flags", equal(merged_into=flag["id"]), limit=PAGE))]:
            await _add(service, found, one, flag)
        if found.count > most:
            break
    return found


async def parquet(service: Service, deployment: str, found: Corrections) -> bytes:
    """The data set as a Parquet file (zstd): `prediction_id, deployment, version, at, …` as they were logged, then
    `label`, and who said so through which flag. Raises pa.ArrowInvalid where versions disagree in a column's type."""
    known = [row for row in await in_chunks(service.store, "batches", "batch", found.rows) if row["offset"] is not None]
    pieces: list[pa.Table] = []
    async for row, table in tables_of(service.log, known):
        pieces.append(_piece(row, table, found.rows[row["batch"]]))
    whole = pa.concat_tables(pieces, promote_options="permissive")
    sink = io.BytesIO()
    pq.write_table(whole.sort_by([("at", "ascending"), ("prediction_id", "ascending")]), sink, compression="zstd")
    return sink.getvalue()


async def _add(service: Service, found: Corrections, one: Row, answered: Row) -> None:
    for batch, row, expected in [place async for place in _places(service, one)]:
        value = answered["label"] if answered["label"] is not None else number_of(expected)
        if value is not None:
            by = (one["id"], one["raised_by"], answered["resolved_by"], answered["resolved_at"])
            found.add(batch, row, Corrected(value, *by))


async def _places(service: Service, one: Row) -> AsyncIterator[tuple[str, int, Any]]:
    if one["prediction_id"]:
        if one["batch"] is not None:
            yield one["batch"], one["row"], one["expected"]
        return
    key = ("batch", "part", "flag", "batch", "part")
    async for part in _all(service, Query("flagged", equal(flag=one["id"]), ("batch", "part"), PAGE), key):
        expected = (part["details"] or {}).get("expected", {})
        for row in rows_of(part["rows"]).tolist():
            yield part["batch"], row, expected.get(str(row))


async def _all(service: Service, query: Query, key: tuple[str, ...]) -> AsyncIterator[Row]:
    """All rows of a query, page by page; `key`: the columns of its order and then of the table's key."""
    after: tuple[Any, ...] | None = None
    while True:
        rows = await service.store.find(Query(query.table, query.where, query.order, query.limit, after))
        for row in rows:
            yield row
        if len(rows) < query.limit:
            return
        after = tuple(rows[-1][name] for name in key)


def _piece(batch: Row, table: pa.RecordBatch, told: dict[int, Corrected]) -> pa.Table:
    rows = np.array(sorted(told), np.int64)
    said = [told[row] for row in rows.tolist()]
    taken = table.take(pa.array(rows))
    given = [batches.prediction_id(batch["batch"], row) for row in rows.tolist()]
    own = taken.column("prediction_id").to_pylist() if "prediction_id" in table.schema.names else [None] * len(rows)
    columns: dict[str, Any] = {
        "prediction_id": pa.array([mine or theirs for mine, theirs in zip(own, given, strict=True)], pa.string()),
        "deployment": pa.array([batch["deployment"]] * len(rows), pa.string()),
        "version": pa.array([batch["version"]] * len(rows), pa.int64()),
    }
    columns |= {name: taken.column(name) for name in _logged(table)}
    columns |= {
        "label": pa.array([one.value for one in said], pa.float64()),
        "flag": pa.array([one.flag for one in said], pa.string()),
        "raised_by": pa.array([one.raised_by for one in said], pa.string()),
        "resolved_by": pa.array([one.resolved_by for one in said], pa.string()),
        "resolved_at": times_column([one.resolved_at for one in said]),
    }
    return pa.table(columns)


def _logged(table: pa.RecordBatch) -> Iterator[str]:
    return (name for name in table.schema.names if name != "prediction_id")
