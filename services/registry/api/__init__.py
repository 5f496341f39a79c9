"""HTTP in, HTTP out."""

from fastapi import APIRouter

from services.registry.api.business import add_business
from services.registry.api.data import add_data
from services.registry.api.models import add_models
from services.registry.api.release import add_release
from services.registry.api.versions import add_versions
from shared.runtime.service import Service


def router(service: Service) -> APIRouter:
    """The endpoints of the registry."""
    routes = APIRouter(tags=["registry"])
    for add in (add_business, add_data, add_models, add_versions, add_release):
        add(routes, service)
    return routes
