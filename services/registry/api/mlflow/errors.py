"""Errors as MLflow's server tells them: `{"error_code", "message"}`, with the status that its clients expect.

Source: MLflow 3.17, mlflow/exceptions.py (ERROR_CODE_TO_HTTP_STATUS) and protos/databricks.proto (ErrorCode)."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.runtime.answers import translated
from shared.runtime.problems import Problem
from shared.runtime.responses import encoded

INVALID = "INVALID_PARAMETER_VALUE"
MISSING = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"

_OF_STATUS: dict[int, tuple[int, str]] = {
    400: (400, "BAD_REQUEST"),
    401: (401, "UNAUTHENTICATED"),
    403: (403, "PERMISSION_DENIED"),
    404: (404, MISSING),
    409: (409, "RESOURCE_CONFLICT"),
    413: (413, INVALID),
    415: (400, "BAD_REQUEST"),
    422: (400, INVALID),
    503: (503, "TEMPORARILY_UNAVAILABLE"),
}


class MlflowError(Exception):
    """An error with the code that MLflow gives it."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def invalid(message: str) -> MlflowError:
    return MlflowError(INVALID, message, 400)


def missing(message: str) -> MlflowError:
    return MlflowError(MISSING, message, 404)


def exists(message: str) -> MlflowError:
    return MlflowError(EXISTS, message, 400)


class MlflowRoute(APIRoute):
    """A route whose errors, of whatever kind, are told in MLflow's form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except MlflowError as error:
                return _answer(error.status, error.code, error.message)
            except HTTPException as error:
                if error.status_code == 404:
                    raise
                return _translated(error)
            except Exception as error:
                return _translated(error)

        return guarded


def _translated(error: Exception) -> Response:
    """Raises the error itself where it is none of the caller's."""
    problem = translated(error)
    if problem.code == "already-registered":
        return _answer(400, EXISTS, problem.detail)
    status, code = _OF_STATUS.get(problem.status, (problem.status, "INTERNAL_ERROR"))
    return _answer(status, code, _message(problem), problem.headers)


def _message(problem: Problem) -> str:
    return f"{problem.detail} {problem.fix}".strip()


def _answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded({"error_code": code, "message": message}), status, headers, "application/json")
