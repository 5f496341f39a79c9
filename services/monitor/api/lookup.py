"""One prediction, by the server's id or the client's own."""

from fastapi import APIRouter, Depends

from services.monitor.cases import Cases
from services.monitor.facts import Facts
from services.monitor.personal import told
from shared.runtime.http import Call, reading
from shared.runtime.openapi import also
from shared.runtime.responses import Answer
from shared.runtime.service import Service


def add(router: APIRouter, service: Service) -> None:
    """GET /predictions/{id}."""
    cases, facts = Cases.of(service), Facts()

    @router.get("/predictions/{prediction_id:path}", responses=also(410))
    async def get_prediction(prediction_id: str, call: Call = Depends(reading(service))) -> Answer:
        """What went in, what came out, and what came true, if it is known. 410 where its retention is over.

        `personal`: of values that the log holds encrypted whether they can be read: open, erased, withheld from the
        caller, or unreadable, with why; null where there are none. Those that cannot be read are null in `features`.
        """
        case = await cases.find(prediction_id)
        item = {
            "id": prediction_id,
            "deployment": case.batch["deployment"],
            "model": case.batch["model"],
            "version": case.batch["version"],
            "batch": case.batch["batch"],
            "row": case.row,
            "at": case.values["at"],
            "segment": case.values.get("segment"),
            "output": case.output,
        }
        version = await facts.version(service.store, item["model"], item["version"])
        names = version.signature.personal if version is not None else ()
        item |= await told(service.keyring, case, call.caller, names)
        return Answer(item | {"outcome": await cases.truth(case.batch["batch"], case.row)})
