"""POST /v2/models/{deployment}/infer. Source: Open Inference Protocol, REST, "Inference".

The body is read here and not by a Pydantic model: tensors are checked as arrays, which is both stricter and faster;
so are the parameters of the path, since declaring them to FastAPI costs a fifth of a small request.
"""

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.deployer.api.errors import protocol_errors
from services.deployer.api.serving import Serving
from services.deployer.serving.binary import HEADER, packed, parsed, unpacked
from services.deployer.serving.gateway import Asking
from shared.runtime.commands import new_id
from shared.runtime.http import Answered, Call, writing
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.responses import Json, PlainRoute, encoded
from shared.runtime.scopes import body_of, headers_of
from shared.runtime.service import Service

_HEADER = HEADER.lower().encode()
_VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_BODY: dict[str, Any] = {
    "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["inputs"]}}},
    },
}


def router(service: Service, serving: Serving) -> APIRouter:
    """The endpoints that answer."""
    routes = APIRouter(prefix="/v2/models", tags=["inference"], route_class=PlainRoute)
    take = writing(service)

    async def answered(request: Request, version: int | None) -> Response:
        call = await take(request)
        if b"after=" in request.scope["query_string"]:
            await serving.routes.refresh()
        header, raw = headers_of(request.scope).get(_HEADER), await body_of(request)
        body = parsed(raw) if header is None else unpacked(raw, header.decode("latin-1"))
        route = await serving.routes.get(request.path_params["name"])
        if call.idempotency_key is not None and any(one.target.subject for one in route.served.values()):
            call.digest = await call.service.keyring.blind(call.digest)  # a digest of few values could be guessed at
        asking = _asking(call)
        if call.idempotency_key is None:
            if version is None and header is None:
                lone = await serving.gateway.lone(route, body, asking)
                if lone is not None:
                    return Json(lone)
            answer = await serving.gateway.infer(route, version, body, asking)
            if header is None and b"binary_data" not in raw:
                return Json(encoded(answer))
            content, headers = packed(body, answer)
            return Response(content, headers=headers)

        async def work() -> Answered:
            return 200, await serving.gateway.infer(route, version, body, asking)

        return await call.keep(work)

    @routes.post("/{name}/infer", openapi_extra=_BODY, responses=also(502, 504))
    @protocol_errors
    async def infer(request: Request) -> Response:
        """Ask a deployment; its traffic decides which version answers each row. Every answer is a logged prediction,
        whose id comes along in `parameters.prediction_ids`.

        `inputs`: a tensor [n] or [n, 1] per input, or one [n, k] with all inputs as its columns. `parameters` may hold
        `at`, `entity`, `segment`, `id`: one value, or a list with one per row. `null` in an FP tensor is NaN. Tensors
        may be raw bytes (the binary tensor data extension), but for answers under an Idempotency-Key.
        """
        return await answered(request, None)

    @routes.post(
        "/{name}/versions/{version}/infer",
        openapi_extra=_BODY | {"parameters": [*_BODY["parameters"], _VERSION]},
        responses=also(502, 504),
    )
    @protocol_errors
    async def infer_version(request: Request) -> Response:
        """Ask one version of a deployment, champion or challenger, whatever its share."""
        return await answered(request, version_of(request.path_params["version"]))

    return routes


def version_of(text: str) -> int:
    """The number of a version in a path. Raises Problem 404."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) < 2**31:
        raise Problem(404, "unknown-version", f"'{text:.50}' is no version; versions are numbers from 1.")
    return int(text)


def _asking(call: Call) -> Asking:
    key = call.idempotency_key
    if key is None:
        return Asking(call.caller.actor, call.correlationid, call.correlationid, _new, call.moment, True)
    # A crash between the log's acknowledgement and the kept answer repeats the work: same key, same events.
    seed = f"{call.caller.actor}\n{key}\n{call.digest}"
    return Asking(call.caller.actor, call.correlationid, seed, _named(seed), call.moment, False)


def _new(version: int) -> str:
    return new_id()


def _named(seed: str) -> Callable[[int], str]:
    def batch_id(version: int) -> str:
        """A UUIDv8 (RFC 9562) made of the seed and the version."""
        digest = hashlib.sha256(f"{seed}\n{version}".encode()).digest()[:16]
        return str(UUID(int=int.from_bytes(digest, "big") & ~(0xF000 << 64) & ~(3 << 62) | (8 << 76) | (2 << 62)))

    return batch_id
