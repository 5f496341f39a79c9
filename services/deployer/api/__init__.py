"""HTTP in, HTTP out: deployments under /v1, inference under /v2."""

from fastapi import APIRouter

from services.deployer.api import deployments, elsewhere, inference, protocol, rollouts, showing
from services.deployer.api.serving import Serving
from shared.runtime.service import Service


def router(service: Service) -> APIRouter:
    """Every endpoint of the deployer."""
    serving = Serving.of(service)
    whole = APIRouter()
    # inference first: paths are tried in turn, and it is asked most
    for part in (inference, protocol, rollouts, elsewhere, deployments, showing):
        whole.routes.extend(part.router(service, serving).routes)
    return whole
