"""Models behind another server that speaks the Open Inference Protocol v2."""

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import orjson

from services.deployer.serving.breaker import Breaker
from services.deployer.serving.frames import DTYPES, Columns, Frame
from services.deployer.serving.refusals import Unservable, bad_request
from services.deployer.serving.remote_inputs import Told, request_of, told_inputs
from services.deployer.serving.tensors import read_tensors
from shared.events.registry import Signature
from shared.models.outputs import output_columns
from shared.runtime.problems import Problem

MAX_BREAKERS = 1_000
PLACE_SECONDS = 10.0
"""How long what a server tells of a model is believed, unless it fails before."""


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version is asked, and the inputs that its server tells; none: it does not say."""

    address: str
    inputs: tuple[Told, ...] = ()


class RemoteModels:
    """One HTTP client for all of them. A deployment's `url` is a model's address (`…/v2/models/NAME`) or its server's,
    where the model then has its name here; versions have their numbers here. A server that knows no versions (KServe;
    MLServer where none is set) is asked without one, for the champion alone: it could not tell others apart."""

    def __init__(self, limits: Limits, transport: httpx.AsyncBaseTransport | None = None) -> None:
        timeout = httpx.Timeout(limits.seconds, connect=min(limits.connect_seconds, limits.seconds))
        self._client = httpx.AsyncClient(timeout=timeout, transport=transport)
        self._limits = limits
        self._breakers: dict[str, Breaker] = {}
        self._places: OrderedDict[str, tuple[Place, float]] = OrderedDict()

    async def run(
        self, url: str, model: str, version: int, frame: Frame, signature: Signature, champion: bool = True
    ) -> Columns:
        """The outputs of these rows. Raises Problem 400 (it refused the input), 502, 503, 504; Unservable."""
        answer = await self._through(_address(url, model), version, frame, champion)
        try:
            tensors = read_tensors(answer["outputs"], self._limits.max_values)
        except (Problem, KeyError, TypeError) as error:
            raise _failed(f"answers what is no answer of the protocol: {error}") from error
        return output_columns([one.name for one in tensors], [one.array for one in tensors], frame.rows, signature)

    async def ready(
        self, url: str, model: str, version: int, signature: Signature | None = None, champion: bool = True
    ) -> str | None:
        """Why the version is not ready there, if so."""
        try:
            place = await self._place(_address(url, model), version, champion)
            answer = await self._client.get(f"{place.address}/ready")
            if signature is not None and answer.is_success:
                nothing = {one.name: np.empty(0, DTYPES[one.type]) for one in signature.inputs}
                request_of(Frame(0, nothing), place.inputs)
        except Unservable as error:
            return str(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{url} does not answer: {type(error).__name__} {error}".strip()
        return None if answer.is_success else f"{url} answers {answer.status_code}"

    async def close(self) -> None:
        await self._client.aclose()

    async def _through(self, base: str, version: int, frame: Frame, champion: bool) -> Any:
        """The answer's JSON, through the model's circuit breaker. Raises Problem 400, 502, 503, 504; Unservable."""
        own = f"{base}/versions/{version}"
        breaker = self._breaker(own)
        wait = breaker.wait()
        if wait > 0:
            detail = f"{own} failed {self._limits.failures} times in a row and is left alone for a while."
            headers = {"Retry-After": str(math.ceil(wait))}
            raise Problem(503, "runtime-unavailable", detail, "Look at that server.", headers=headers)
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer = await self._asked(base, version, frame, champion)
        except TimeoutError as error:
            breaker.failed()
            raise Problem(504, "runtime-timeout", f"{own} did not answer in time.", "Try again.") from error
        except Problem as problem:
            if problem.status >= 500:
                self._places.pop(own, None)  # the model there may be another one by now
                breaker.failed()
            else:
                breaker.succeeded()
            raise
        except BaseException:
            breaker.left()
            raise
        breaker.succeeded()
        return answer

    async def _asked(self, base: str, version: int, frame: Frame, champion: bool) -> Any:
        try:
            place = await self._place(base, version, champion)
        except httpx.HTTPError:  # whoever does not say how to ask is asked all the same, and tried again
            place = Place(f"{base}/versions/{version}")
        body = orjson.dumps(request_of(frame, place.inputs), option=orjson.OPT_SERIALIZE_NUMPY)
        return _read(await self._tries(f"{place.address}/infer", body))

    async def _place(self, base: str, version: int, champion: bool) -> Place:
        """Where to ask a version, by its server's metadata. Raises httpx's errors, Unservable."""
        own = f"{base}/versions/{version}"
        place, until = self._places.get(own, (Place(own), 0.0))
        if monotonic() > until:
            place = await self._found(base, own)
            while len(self._places) >= MAX_BREAKERS:
                self._places.popitem(last=False)
            self._places[own] = place, monotonic() + PLACE_SECONDS
        if place.address != own and not champion:
            raise Unservable(f"{base} knows no versions, so it answers for the champion alone")
        return place

    async def _found(self, base: str, own: str) -> Place:
        answer = await self._client.get(own)
        if answer.is_success:
            return Place(own, told_inputs(_json(answer)))
        answer = await self._client.get(base)
        told = _json(answer) if answer.is_success else None
        if not isinstance(told, dict) or told.get("versions"):
            return Place(own)  # which then tells what is wrong
        return Place(base, told_inputs(told))

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


def _json(answer: httpx.Response) -> Any:
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None


def _address(url: str, model: str) -> str:
    base = url.rstrip("/")
    return base if "/v2/models/" in base else f"{base}/v2/models/{quote(model, safe='')}"


def _failed(what: str) -> Problem:
    return Problem(502, "runtime-failed", f"The remote inference server {what}.", "Try again; look at that server.")
