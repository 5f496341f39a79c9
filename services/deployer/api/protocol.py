"""The rest of the Open Inference Protocol v2: health and metadata of server and models."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.deployer.api.errors import protocol_errors
from services.deployer.api.inference import version_of
from services.deployer.api.serving import Serving
from services.deployer.serving.answer import metadata
from services.deployer.serving.binary import EXTENSION
from services.deployer.serving.routes import Route
from services.deployer.serving.runtimes import PLATFORMS
from shared.runtime.app import VERSION
from shared.runtime.http import reading
from shared.runtime.problems import Problem
from shared.runtime.responses import encoded
from shared.runtime.service import Service


def router(service: Service, serving: Serving) -> APIRouter:
    """Health and metadata."""
    routes = APIRouter(prefix="/v2", tags=["inference"])
    read = reading(service)

    async def route_of(request: Request, name: str) -> Route:
        await read(request)
        if b"after=" in request.scope["query_string"]:
            await serving.routes.refresh()
        return await serving.routes.get(name)

    @routes.get("")
    async def server() -> Response:
        """Name and version of the server."""
        return _json({"name": "muniment", "version": VERSION, "extensions": [EXTENSION]})

    @routes.get("/health/live")
    async def live() -> Response:
        """Whether the server runs."""
        return _json({"live": True})

    @routes.get("/health/ready")
    @protocol_errors
    async def ready(request: Request) -> Response:
        """Whether the server knows its deployments."""
        await serving.routes.refresh()
        return _json({"ready": True})

    @routes.get("/models/{name}")
    @protocol_errors
    async def model(request: Request, name: str) -> Response:
        """Inputs, outputs and versions of a deployment; its champion's where they differ."""
        return _metadata(serving, await route_of(request, name), None)

    @routes.get("/models/{name}/versions/{version}")
    @protocol_errors
    async def model_version(request: Request, name: str, version: str) -> Response:
        """Inputs and outputs of one version."""
        return _metadata(serving, await route_of(request, name), version_of(version))

    @routes.get("/models/{name}/ready")
    @protocol_errors
    async def model_ready(request: Request, name: str) -> Response:
        """Whether every version that has a share can answer; loads it."""
        route = await route_of(request, name)
        return await _ready(serving, route, list(route.sharing))

    @routes.get("/models/{name}/versions/{version}/ready")
    @protocol_errors
    async def version_ready(request: Request, name: str, version: str) -> Response:
        """Whether one version can answer; loads it."""
        route = await route_of(request, name)
        number = version_of(version)
        _listed(route, number)
        return await _ready(serving, route, [number])

    return routes


def _metadata(serving: Serving, route: Route, version: int | None) -> Response:
    traffic = route.state.traffic
    if version is not None:
        _listed(route, version)
    served = serving.runtimes.served(route, version or traffic.champion)
    versions = [version] if version else _versions(route)
    return _json(metadata(route, served, PLATFORMS[route.state.runtime.kind], versions))


async def _ready(serving: Serving, route: Route, versions: list[int]) -> Response:
    for version in versions:
        reason = await serving.runtimes.problem(route, version)
        if reason is not None:
            detail = f"Version {version} of '{route.name}' is not ready: {reason}."
            raise Problem(503, "model-not-ready", detail, name=route.name, ready=False, version=version)
    return _json({"name": route.name, "ready": True})


def _versions(route: Route) -> list[int]:
    traffic = route.state.traffic
    return [traffic.champion, *(one.version for one in traffic.challengers), *traffic.shadows]


def _listed(route: Route, version: int) -> None:
    if version not in _versions(route):
        detail = f"Version {version} has no part in the traffic of '{route.name}'."
        raise Problem(404, "unknown-version", detail, nearby=_versions(route))


def _json(content: Any) -> Response:
    return Response(encoded(content), media_type="application/json")
