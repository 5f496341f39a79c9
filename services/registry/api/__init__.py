"""HTTP in, HTTP out."""

from fastapi import APIRouter

from services.registry.api.business import add_business
from services.registry.api.data import add_data
from services.registry.api.decisions import add_decisions
from services.registry.api.gates import add_gates
from services.registry.api.history import add_history
from services.registry.api.lineage import add_lineage
from services.registry.api.mlflow import mlflow_router
from services.registry.api.models import add_models
from services.registry.api.policies import add_policies
from services.registry.api.release import add_release
from services.registry.api.versions import add_versions
from services.registry.api.webhooks import add_webhooks
from services.registry.api.what_if import add_what_if
from services.registry.snapshots import Snapshots
from shared.runtime.service import Service


def router(service: Service) -> APIRouter:
    """The endpoints of the registry, those first that are called by the thousand: routes are tried in turn."""
    Snapshots.of(service)
    routes = APIRouter(tags=["registry"])
    for add in (add_lineage, add_versions):
        add(routes, service)
    routes.routes.extend(mlflow_router(service).routes)
    registered = (add_business, add_data, add_models, add_history, add_release)
    for add in (*registered, add_policies, add_gates, add_what_if, add_webhooks, add_decisions):
        add(routes, service)
    return routes
