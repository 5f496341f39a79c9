"""Why one prediction came out as it did."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from services.monitor.cases import Cases
from services.monitor.explaining.explainer import Explainer
from services.monitor.explaining.process import Process
from shared.runtime.http import Call, reading
from shared.runtime.openapi import also
from shared.runtime.responses import Answer
from shared.runtime.service import Service

Output = Annotated[str | None, Query(max_length=200, description="Output to explain; default: the first number.")]


def add(router: APIRouter, service: Service) -> None:
    """GET /predictions/{id}/explanation."""
    read = reading(service)
    process = Process(service.settings.max_explanations)
    if service.settings.explanation_warm_seconds > 0:
        service.on_start.append(lambda: process.warm(service.settings.explanation_warm_seconds))
    service.on_close.append(process.close)
    explainer = Explainer(service, Cases.of(service), process)

    @router.get("/predictions/{prediction_id:path}/explanation", responses=also(409, 410))
    async def get_explanation(prediction_id: str, output: Output = None, call: Call = Depends(read)) -> Answer:
        """What each value did to the output (`contributions` add up to `value` less `base_value`, the mean output of
        the reference), the same in words (`summary`), and the `nearest` past cases with their outcomes.

        409 `not-explainable` where the model as served cannot be asked: served elsewhere, another artifact than the
        one registered, or no reference.
        """
        return Answer(await explainer.explain(prediction_id, output))
