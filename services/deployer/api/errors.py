"""Errors of /v2 in the protocol's form: an object with `error`, and beside it the members of a problem document."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, cast

from fastapi import Request
from starlette.responses import Response

from shared.log.log import LogUnavailable
from shared.log.store import StoreUnavailable
from shared.runtime.problems import Problem
from shared.runtime.responses import encoded

P = ParamSpec("P")


def protocol_errors(endpoint: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """The endpoint, whose first parameter is `request: Request`, with its problems told in the protocol's form."""

    @wraps(endpoint)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await endpoint(*args, **kwargs)
        except (LogUnavailable, StoreUnavailable) as error:
            what = "log" if isinstance(error, LogUnavailable) else "store"
            detail = f"The {what} cannot be reached right now; what was not acknowledged was not kept."
            problem = Problem(503, f"{what}-unavailable", detail, "Try again.", headers={"Retry-After": "1"})
        except Problem as error:
            problem = error
        request = cast(Request, kwargs["request"] if "request" in kwargs else args[0])
        body = {"error": problem.detail} | problem.document(request.url.path)
        return Response(encoded(body), problem.status, problem.headers, "application/json")

    return guarded
