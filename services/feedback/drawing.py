"""From which predictions a review draws: those of a version and a time that nobody has flagged.

What a constant answered in the version's place is none of them."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.feedback.domain.conditions import wanted
from services.feedback.projection.parts import rows_of
from services.feedback.worker.places import tables_of
from shared.events import batches
from shared.events.feedback import PredictionQuery
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.problems import Problem
from shared.runtime.service import Service

PAGE = 200
MAX_FLAGS = 100_000


@dataclass(frozen=True, slots=True)
class Population:
    """One place for each prediction: its batch's place in `batches`, its row, its score and its segment."""

    model: str
    batches: list[str]
    code: NDArray[np.int32]
    row: NDArray[np.int32]
    score: NDArray[np.float64]
    segment: NDArray[np.object_]
    own: dict[tuple[int, int], str]
    flagged: int

    def named(self, place: int) -> str:
        """The id of the prediction at this place."""
        code, row = int(self.code[place]), int(self.row[place])
        return self.own.get((code, row)) or batches.prediction_id(self.batches[code], row)


async def population(service: Service, query: PredictionQuery, output: str | None) -> tuple[Population, str | None]:
    """All unflagged predictions that the query finds, and the output that gave their scores (None: there is no number
    output). Raises Problem 404 `no-predictions`, 413 `too-many-predictions`, 422 `unknown-output`."""
    most = service.settings.max_review_rows
    names: list[str] = []
    codes: list[NDArray[np.int32]] = []
    rows: list[NDArray[np.int32]] = []
    scores: list[NDArray[np.float64]] = []
    segments: list[NDArray[np.object_]] = []
    own: dict[tuple[int, int], str] = {}
    model, column, left_out, total = "", None, 0, 0
    async for batch, table in _tables(service, query):
        model, column = batch["model"], column or _output(table, output)
        mask = wanted(table, query)
        known = await _flagged(service, batch["batch"])
        left_out += int(mask[known].sum())
        mask[known] = False
        places = np.flatnonzero(mask).astype(np.int32)
        total += len(places)
        if total > most:
            raise Problem(413, "too-many-predictions", f"More than {most} predictions are meant.", "Narrow the time.")
        taken = table.take(pa.array(places))
        codes.append(np.full(len(places), len(names), np.int32))
        rows.append(places)
        scores.append(_numbers(taken, column))
        segments.append(_texts(taken, "segment"))
        if "prediction_id" in table.schema.names:
            ids = taken.column("prediction_id").to_pylist()
            own |= {(len(names), int(at)): name for at, name in zip(places, ids, strict=True) if name is not None}
        names.append(batch["batch"])
    if not total:
        detail = f"No unflagged prediction of '{query.deployment}' is meant."
        raise Problem(404, "no-predictions", detail, "Name another version or time.")
    parts = (np.concatenate(codes), np.concatenate(rows), np.concatenate(scores), np.concatenate(segments))
    return Population(model, names, *parts, own, left_out), column


async def _tables(service: Service, query: PredictionQuery) -> AsyncIterator[tuple[Row, pa.RecordBatch]]:
    where = [*equal(deployment=query.deployment, version=query.version), Where("partition", ">=", 0)]
    if query.since is not None:
        where.append(Where("end", ">=", query.since))
    if query.until is not None:
        where.append(Where("start", "<", query.until))
    after: tuple[object, ...] | None = None
    while True:
        found = await service.store.find(Query("batches", tuple(where), ("partition", "offset"), PAGE, after))
        async for row, table in tables_of(service.log, [one for one in found if not one["fallback"]]):
            yield row, table
        if len(found) < PAGE:
            return
        last = found[-1]
        after = (last["partition"], last["offset"], last["batch"])


async def _flagged(service: Service, batch: str) -> NDArray[np.int64]:
    """Rows of a batch that some flag is on."""
    single = await service.store.find(Query("flags", equal(batch=batch), limit=MAX_FLAGS, columns=("row",)))
    many = await service.store.find(Query("flagged", equal(batch=batch), limit=MAX_FLAGS, columns=("rows",)))
    rows = [
        np.array([one["row"] for one in single], np.int64),
        *(rows_of(one["rows"]).astype(np.int64) for one in many),
    ]
    return np.unique(np.concatenate(rows))


def _output(table: pa.RecordBatch, output: str | None) -> str | None:
    numbers = [
        field.name
        for field in table.schema
        if field.name.startswith(batches.OUTPUT)
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    if output is None:
        return numbers[0] if len(numbers) == 1 else None
    if batches.OUTPUT + output not in numbers:
        named = ", ".join(name.removeprefix(batches.OUTPUT) for name in numbers) or "none"
        raise Problem(422, "unknown-output", f"There is no number output '{output}'; there is {named}.")
    return batches.OUTPUT + output


def _numbers(table: pa.RecordBatch, column: str | None) -> NDArray[np.float64]:
    if column is None or column not in table.schema.names:
        return np.zeros(table.num_rows)
    return np.nan_to_num(pc.fill_null(table.column(column).cast(pa.float64()), 0.0).to_numpy())


def _texts(table: pa.RecordBatch, column: str) -> NDArray[np.object_]:
    if column not in table.schema.names:
        return np.full(table.num_rows, "", object)
    return pc.fill_null(table.column(column).cast(pa.string()), "").to_numpy(zero_copy_only=False)
