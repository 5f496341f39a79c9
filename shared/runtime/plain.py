"""Plain routes, answered in front of FastAPI's router: what it does for each request costs a small one as much as its
own work. The routes are FastAPI's all the same, and so stand in the OpenAPI document."""

from collections.abc import Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.runtime.answers import problem_response, translated
from shared.runtime.responses import PlainRoute


class Plain:
    """Wraps an app. Errors become the same problem documents as behind the router."""

    def __init__(self, app: ASGIApp, routes: Sequence[PlainRoute]) -> None:
        self.app, self.routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope)
        if route is None:
            await self.app(scope, receive, send)
            return
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except ClientDisconnect:
            raise
        except Exception as error:
            response = problem_response(translated(error), scope["path"])
        await response(scope, receive, send)

    def _route(self, scope: Scope) -> PlainRoute | None:
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        path: str = scope["path"]
        for route in self.routes:
            found = route.path_regex.match(path)
            if found is not None and scope["method"] in (route.methods or ()):
                scope["route"], scope["path_params"] = route, found.groupdict()
                return route
        return None
