"""One prediction, by the server's id or the client's own."""

from fastapi import APIRouter, Depends

from services.monitor.cases import Cases
from shared.runtime.http import Answer, Call, reading
from shared.runtime.openapi import also
from shared.runtime.service import Service


def add(router: APIRouter, service: Service) -> None:
    """GET /predictions/{id}."""
    cases = Cases.of(service)

    @router.get("/predictions/{prediction_id}", responses=also(410))
    async def get_prediction(prediction_id: str, call: Call = Depends(reading(service))) -> Answer:
        """What went in, what came out, and what came true, if it is known. 410 where its retention is over."""
        case = await cases.find(prediction_id)
        item = {
            "id": prediction_id,
            "deployment": case.batch["deployment"],
            "model": case.batch["model"],
            "version": case.batch["version"],
            "batch": case.batch["batch"],
            "row": case.row,
            "at": case.values["at"],
            "entity": case.values.get("entity"),
            "segment": case.values.get("segment"),
            "features": case.features,
            "output": case.output,
        }
        return Answer(item | {"outcome": await cases.truth(case.batch["batch"], case.row)})
