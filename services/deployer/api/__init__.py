"""HTTP in, HTTP out: deployments under /v1, inference under /v2."""

from fastapi import APIRouter

from services.deployer.api import deployments, elsewhere, inference, protocol, rollouts, showing
from services.deployer.api.serving import Serving
from services.deployer.losses import Losses
from shared.runtime.service import Service


def router(service: Service) -> APIRouter:
    """Every endpoint of the deployer."""
    serving = Serving.of(service)
    losses = Losses(service)
    service.on_start.append(losses.begin)
    service.on_close.append(losses.close)
    whole = APIRouter()
    # inference first: paths are tried in turn, and it is asked most
    for part in (inference, protocol, rollouts, elsewhere, deployments, showing):
        whole.routes.extend(part.router(service, serving).routes)
    return whole
