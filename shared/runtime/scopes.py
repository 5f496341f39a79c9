"""What the edge read of a request already, for those behind it: to read it twice costs a small request some percent."""

from typing import Any

from starlette.requests import Request
from starlette.types import Scope

_HEADERS, _BODY = "muniment.headers", "muniment.body"


def keep_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers by their names in lower case."""
    found: dict[bytes, bytes] = dict(scope["headers"])
    scope[_HEADERS] = found
    return found


def keep_body(scope: Scope, body: bytes) -> None:
    """This is the whole body."""
    scope[_BODY] = body


def headers_of(scope: Scope | Any) -> dict[bytes, bytes]:
    """As `keep_headers`, wherever the request comes from."""
    found = scope.get(_HEADERS)
    return dict(scope["headers"]) if found is None else found


async def body_of(request: Request) -> bytes:
    """The whole body."""
    found = request.scope.get(_BODY)
    return await request.body() if found is None else found
