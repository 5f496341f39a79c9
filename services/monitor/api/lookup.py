"""One prediction, by the server's id or the client's own."""

import math
from typing import Any

import pyarrow as pa
from fastapi import APIRouter, Depends

from services.monitor.domain.outcomes import decode
from services.monitor.worker.states import moment
from services.monitor.worker.tables import Tables
from shared.events import batches
from shared.log.tables import Row
from shared.runtime.http import Answer, Call, reading
from shared.runtime.problems import Problem
from shared.runtime.service import Service


def add(router: APIRouter, service: Service) -> None:
    """GET /predictions/{id}."""
    tables = Tables(service.log)

    @router.get("/predictions/{prediction_id}")
    async def get_prediction(prediction_id: str, call: Call = Depends(reading(service))) -> Answer:
        """What went in, what came out, and what came true, if it is known."""
        place = await _place(service, prediction_id)
        row = await service.store.get("batches", place[0]) if place is not None else None
        if row is None or place is None or place[1] >= row["rows"]:
            detail = f"There is no prediction '{prediction_id:.200}'."
            fix = "Ids are those that its answer gave; what was just taken may need a moment to be seen here."
            raise Problem(404, "unknown-prediction", detail, fix)
        return Answer(_item(prediction_id, place[1], row, await tables.whole(row)) | await _truth(service, place))


async def _place(service: Service, prediction_id: str) -> tuple[str, int] | None:
    given = batches.parse_prediction_id(prediction_id)
    if given is not None:
        return given
    row = await service.store.get("prediction_ids", prediction_id)
    return (row["batch"], row["row"]) if row is not None else None


def _item(prediction_id: str, number: int, row: Row, table: pa.RecordBatch) -> dict[str, Any]:
    values = table.slice(number, 1).to_pylist()[0]
    return {
        "id": prediction_id,
        "deployment": row["deployment"],
        "model": row["model"],
        "version": row["version"],
        "batch": row["batch"],
        "row": number,
        "at": values["at"],
        "entity": values.get("entity"),
        "segment": values.get("segment"),
        "features": batches.group(values, batches.FEATURE),
        "output": batches.group(values, batches.OUTPUT),
    }


async def _truth(service: Service, place: tuple[str, int]) -> dict[str, Any]:
    row = await service.store.get("truths", place[0])
    if row is None:
        return {"outcome": None}
    truth, number = decode(row["truth"]), place[1]
    value = float(truth.values[number])
    if math.isnan(value):
        return {"outcome": None}
    at, told = int(truth.at[number]), int(truth.told[number])
    return {"outcome": {"value": value, "at": moment(at), "told_at": moment(told)}}
