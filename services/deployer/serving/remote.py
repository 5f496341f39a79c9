"""Models behind another server that speaks the Open Inference Protocol v2."""

import asyncio
import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from services.deployer.serving.breaker import Breaker
from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.refusals import bad_request
from services.deployer.serving.tensors import read_tensors, write_tensor
from shared.events.registry import Signature
from shared.models.outputs import output_columns
from shared.runtime.problems import Problem

MAX_BREAKERS = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` for all tries of a request together; `retries` after connections that failed and answers of 502, 503
    and 504; after `failures` requests in a row that failed, a server is left alone for `open_seconds`."""

    seconds: float = 10.0
    connect_seconds: float = 1.0
    retries: int = 1
    failures: int = 5
    open_seconds: float = 5.0
    max_values: int = 10_000_000


class RemoteModels:
    """One HTTP client for all of them. A deployment's `url` is a model's address (`…/v2/models/NAME`) or its server's,
    where the model then has its name here; versions have their numbers here."""

    def __init__(self, limits: Limits, transport: httpx.AsyncBaseTransport | None = None) -> None:
        timeout = httpx.Timeout(limits.seconds, connect=min(limits.connect_seconds, limits.seconds))
        self._client = httpx.AsyncClient(timeout=timeout, transport=transport)
        self._limits = limits
        self._breakers: dict[str, Breaker] = {}

    async def run(self, url: str, model: str, version: int, frame: Frame, signature: Signature) -> Columns:
        """The outputs of these rows. Raises Problem 400 (it refused the input), 502, 504; Unservable."""
        inputs = [write_tensor(name, column) for name, column in frame.columns.items()]
        body = orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = await self._post(f"{_address(url, model, version)}/infer", body)
        try:
            tensors = read_tensors(answer["outputs"], self._limits.max_values)
        except (Problem, KeyError, TypeError) as error:
            raise _failed(f"answers what is no answer of the protocol: {error}") from error
        return output_columns([one.name for one in tensors], [one.array for one in tensors], frame.rows, signature)

    async def ready(self, url: str, model: str, version: int) -> str | None:
        """Why the version is not ready there, if so."""
        try:
            answer = await self._client.get(f"{_address(url, model, version)}/ready")
        except httpx.HTTPError as error:
            return f"{url} does not answer: {type(error).__name__} {error}".strip()
        return None if answer.is_success else f"{url} answers {answer.status_code}"

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, url: str, body: bytes) -> Any:
        """The answer's JSON, through the server's circuit breaker. Raises Problem 400, 502, 503, 504."""
        breaker = self._breaker(url)
        wait = breaker.wait()
        if wait > 0:
            detail = f"{url} failed {self._limits.failures} times in a row and is left alone for a while."
            headers = {"Retry-After": str(math.ceil(wait))}
            raise Problem(503, "runtime-unavailable", detail, "Look at that server.", headers=headers)
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer = _read(await self._tries(url, body))
        except TimeoutError as error:
            breaker.failed()
            raise Problem(504, "runtime-timeout", f"{url} did not answer in time.", "Try again.") from error
        except Problem as problem:
            (breaker.failed if problem.status >= 500 else breaker.succeeded)()
            raise
        except BaseException:
            breaker.left()
            raise
        breaker.succeeded()
        return answer

    async def _tries(self, url: str, body: bytes) -> httpx.Response:
        """An inference changes nothing there, so that it may be asked again."""
        headers = {"Content-Type": "application/json"}
        for left in range(self._limits.retries, -1, -1):
            try:
                answer = await self._client.post(url, content=body, headers=headers)
            except httpx.TimeoutException as error:
                if left and isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
                    continue
                raise Problem(504, "runtime-timeout", f"{url} did not answer in time.", "Try again.") from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if left and isinstance(error, httpx.TransportError):
                    continue
                raise _failed(f"cannot be reached: {type(error).__name__} {error}".strip()) from error
            if not left or answer.status_code not in (502, 503, 504):
                return answer
        raise AssertionError("unreachable")

    def _breaker(self, url: str) -> Breaker:
        """One for each model and version there, so that one that is missing does not close the way to the others."""
        if url not in self._breakers:
            if len(self._breakers) >= MAX_BREAKERS:
                self._breakers.pop(next(iter(self._breakers)))
            self._breakers[url] = Breaker(self._limits.failures, self._limits.open_seconds)
        return self._breakers[url]


def _read(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises Problem 400, 502."""
    if answer.status_code in (400, 422):
        raise bad_request("model-failed", f"The remote model refuses this input: {answer.text[:500]}")
    if not answer.is_success:
        raise _failed(f"answers {answer.status_code}: {answer.text[:200]}")
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError as error:
        raise _failed("answers no JSON") from error


def _address(url: str, model: str, version: int) -> str:
    base = url.rstrip("/")
    if "/v2/models/" not in base:
        base = f"{base}/v2/models/{quote(model, safe='')}"
    return f"{base}/versions/{version}"


def _failed(what: str) -> Problem:
    return Problem(502, "runtime-failed", f"The remote inference server {what}.", "Try again; look at that server.")
