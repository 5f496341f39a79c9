"""The app factory: the routers of one or more services behind one edge."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.runtime import dead_letters, openapi
from shared.runtime.answers import handle_errors, problem_response
from shared.runtime.edge import Edge
from shared.runtime.health import Health
from shared.runtime.identity import Identity
from shared.runtime.observability import METRICS_MEDIA_TYPE, Gauges
from shared.runtime.plain import Plain
from shared.runtime.problems import Problem
from shared.runtime.responses import EarlyRoute, PlainRoute
from shared.runtime.running import Running
from shared.runtime.settings import Settings

VERSION = "0.1.0"

# FastAPI looks for OpenTelemetry's providers anew in every request; here figures go to Prometheus
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class App(FastAPI):
    """An app whose edge comes first: what FastAPI puts in front of it (telemetry, a limit of size, the last word on
    errors) is the edge's own work here, and costs a small request some percent."""

    def build_middleware_stack(self) -> ASGIApp:
        """The edge, and what is behind it."""
        stack: Any = super().build_middleware_stack()
        while not isinstance(stack, Edge):
            stack = stack.app
        return stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)


def create_app(title: str, parts: Sequence[Running], settings: Settings, routes: bool = True) -> FastAPI:
    """One app with every part's router, dead letters, health and figures; `routes=False` (a worker) without the first.

    The routers' routes are put into the app flat, since FastAPI looks through an included router twice per request.
    `app.state.health` must be run beside the app (`serve` does).
    """
    gauges = Gauges()
    app = App(title=title, version=VERSION, redirect_slashes=False, telemetry=_NO_TELEMETRY)
    app.state.identity = Identity(settings)
    app.state.health = Health(parts, gauges)
    if routes:
        found = [route for part in parts for route in part.definition.router(part.service).routes]
        # paths are tried in turn, so those that are asked most come before all others, FastAPI's own too
        app.router.routes[:0] = [route for route in found if isinstance(route, EarlyRoute)]
        app.router.routes.extend(route for route in found if not isinstance(route, EarlyRoute))
        app.add_middleware(Plain, routes=[route for route in found if isinstance(route, PlainRoute)])
    # by now a router may have brought figures of its own
    for collector in (one for part in parts for one in part.service.collectors.values()):
        gauges.registry.register(collector)
    app.router.routes.extend(dead_letters.router(parts).routes)
    _operations(app, gauges)
    handle_errors(app)
    openapi.complete(app)
    app.add_middleware(
        Edge,
        max_body_bytes=settings.max_body_bytes,
        gauges=gauges,
        log_answers=settings.log_level.upper() == "DEBUG",
    )
    return app


def _operations(app: FastAPI, gauges: Gauges) -> None:
    health: Health = app.state.health

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    def told() -> dict[str, Any]:
        """How far consumers are that catch up, where any do."""
        return {"progress": health.progress} if health.progress else {}

    async def ready(request: Request) -> Response:
        if not health.measured:
            await health.measure()
        if not health.problems:
            return JSONResponse({"status": "ready", "lags": health.lags} | told())
        detail = "; ".join(f"{name}: {reason}" for name, reason in health.problems.items())
        problem = Problem(
            503, "not-ready", detail, problems=health.problems, lags=health.lags, progress=health.progress
        )
        return problem_response(problem, request.url.path)

    async def metrics(request: Request) -> Response:
        return Response(gauges.exposition(), media_type=METRICS_MEDIA_TYPE)

    app.add_route("/health/live", live, include_in_schema=False)
    app.add_route("/health/ready", ready, include_in_schema=False)
    app.add_route("/metrics", metrics, include_in_schema=False)
