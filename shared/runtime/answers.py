"""Errors of every kind as RFC 9457 problem documents."""

from typing import Any, cast

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.events.refusal import Refused
from shared.keyring.keyring import KeyringUnavailable
from shared.log.log import LogUnavailable
from shared.log.store import Conflict, InFlight, StoreUnavailable
from shared.runtime.problems import MEDIA_TYPE, Problem

MAX_ERRORS = 100
_CODES = {400: "malformed-body", 404: "no-such-path", 405: "method-not-allowed", 413: "body-too-large"}


def problem_response(problem: Problem, path: str) -> Response:
    """The problem document as an answer; what JSON cannot say in `extra` becomes text. Below `/v2/` with the `error`
    that clients of the Open Inference Protocol read, where no route was reached too (too large, no such path)."""
    told = problem.document(path)
    told = {"error": problem.detail} | told if path.startswith("/v2/") else told
    body = orjson.dumps(told, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def handle_errors(app: FastAPI) -> None:
    """Let the app answer each error that it knows with a problem document."""

    async def handle(request: Request, error: Exception) -> Response:
        return problem_response(translated(error), request.url.path)

    kinds = (Problem, Refused, RequestValidationError, HTTPException, Conflict, InFlight, StoreUnavailable)
    for kind in (*kinds, LogUnavailable, KeyringUnavailable):
        app.add_exception_handler(kind, handle)


def translated(error: Exception) -> Problem:
    """The problem that an error means to the caller. Raises the error itself where it is none of theirs."""
    match error:
        case Problem():
            return error
        case Refused():
            extra: dict[str, Any] = dict(error.extra)
            return Problem(error.status, error.code, error.detail, **extra)
        case RequestValidationError():
            return invalid(error)
        case HTTPException():
            return _http(error)
        case Conflict():
            return Problem(409, "contended", "Others kept changing the same thing first.", "Try again.")
        case InFlight():
            return Problem(409, "request-in-flight", "A request with this Idempotency-Key has not ended yet.")
        case StoreUnavailable():
            return _unavailable("store")
        case LogUnavailable():
            return _unavailable("log")
        case KeyringUnavailable():
            return _unavailable("keyring")
        case _:
            raise error


def pointer(parts: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def invalid(error: RequestValidationError) -> Problem:
    """422 with `errors`: where (`in`: body, query, path or header; `pointer` within) and what; 400 and 415 where the
    body is no JSON at all."""
    found = cast("list[dict[str, Any]]", list(error.errors()))
    if found and found[0]["type"] == "json_invalid":
        reason = f"{found[0]['ctx']['error']} at position {found[0]['loc'][-1]}"
        return Problem(400, "malformed-json", f"The body is no JSON: {reason}.", "Send JSON by RFC 8259.")
    if isinstance(error.body, bytes) and any(tuple(one["loc"]) == ("body",) for one in found):
        detail = "The body came without 'Content-Type: application/json'."
        return Problem(415, "unsupported-media-type", detail, "Send JSON and say so in Content-Type.")
    errors = [
        {"in": str(one["loc"][0]), "pointer": pointer(tuple(one["loc"][1:])), "detail": one["msg"]}
        for one in found[:MAX_ERRORS]
    ]
    first = errors[0] if errors else {"in": "body", "pointer": "", "detail": "not valid"}
    where = f"{first['in']} '{first['pointer']}'"
    detail = f"{len(found)} part(s) of the request are not valid; first {where}: {first['detail']}."
    return Problem(422, "invalid-request", detail, "See errors and /docs.", errors=errors)


def _http(error: HTTPException) -> Problem:
    code = _CODES.get(error.status_code, "http-error")
    detail = {404: "There is no such path here.", 405: "This path does not take this method."}
    text = detail.get(error.status_code, str(error.detail))
    fix = "See /docs for what is there." if error.status_code in detail else ""
    return Problem(error.status_code, code, text, fix, headers=dict(error.headers or {}))


def _unavailable(what: str) -> Problem:
    detail = f"The {what} cannot be reached right now; nothing that was not acknowledged was kept."
    return Problem(503, f"{what}-unavailable", detail, "Try again.", headers={"Retry-After": "1"})
