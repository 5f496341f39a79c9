"""Models behind another server that speaks the Open Inference Protocol v2."""

from typing import Any
from urllib.parse import quote

import httpx
import orjson

from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.refusals import bad_request
from services.deployer.serving.tensors import read_tensors, write_tensor
from shared.events.registry import Signature
from shared.models.outputs import output_columns
from shared.runtime.problems import Problem


class RemoteModels:
    """One HTTP client for all of them. A deployment's `url` is a model's address (`…/v2/models/NAME`) or its server's,
    where the model then has its name here; versions have their numbers here."""

    def __init__(self, seconds: float, max_values: int, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(timeout=seconds, transport=transport)
        self._max_values = max_values

    async def run(self, url: str, model: str, version: int, frame: Frame, signature: Signature) -> Columns:
        """The outputs of these rows. Raises Problem 400 (it refused the input), 502, 504; Unservable."""
        inputs = [write_tensor(name, column) for name, column in frame.columns.items()]
        body = orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = await self._post(f"{_address(url, model, version)}/infer", body)
        try:
            tensors = read_tensors(answer["outputs"], self._max_values)
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
        try:
            answer = await self._client.post(url, content=body, headers={"Content-Type": "application/json"})
        except httpx.TimeoutException as error:
            raise Problem(504, "runtime-timeout", f"{url} did not answer in time.", "Try again.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failed(f"cannot be reached: {type(error).__name__} {error}".strip()) from error
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
