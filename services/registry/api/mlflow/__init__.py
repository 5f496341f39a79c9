"""MLflow's model registry REST API (2.0), so that its clients work here unchanged: `MlflowClient(registry_uri=…)`.

Every call becomes events with a history, under the rules of the native API: `champion` and the stages Production and
Staging need an open gate, deleting retires. Runs and experiments are not kept here: those calls are refused clearly.
Source: MLflow 3.17, protos/model_registry.proto and store/model_registry.
"""

from fastapi import APIRouter, Request

from services.registry.api.mlflow.errors import MlflowError, MlflowRoute
from services.registry.api.mlflow.models import add_models
from services.registry.api.mlflow.record import Record
from services.registry.api.mlflow.versions import add_versions
from shared.runtime.service import Service

PREFIX = "/api/2.0/mlflow"
_ELSEWHERE = (
    "This is a model registry: it keeps no runs, experiments, traces or logged models. Set the tracking URI to a"
    " tracking server, and only the registry URI to this address."
)


def mlflow_router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix=PREFIX, tags=["mlflow"], route_class=MlflowRoute)
    record = Record(service)
    add_models(routes, service, record)
    add_versions(routes, service, record)

    async def elsewhere(request: Request, rest: str) -> None:
        raise MlflowError("ENDPOINT_NOT_FOUND", _ELSEWHERE, 404)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes.add_api_route("/{rest:path}", elsewhere, methods=methods, include_in_schema=False)
    return routes
