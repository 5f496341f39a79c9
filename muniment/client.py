"""The client library: a thin, strict way to the HTTP API of a running Muniment.

Every write carries an Idempotency-Key, so that trying again after a timeout or a 503 never does anything twice.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx
import numpy as np
import orjson
import pyarrow as pa
from uuid_utils.compat import uuid7

from muniment.errors import ProblemError, UnreachableError
from muniment.inference import Inference, infer_body, read_inference
from muniment.routes import ServiceUrls
from muniment.streams import StreamEvent, read_events

__all__ = ["Client", "Inference", "ProblemError", "UnreachableError"]

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
_AGAIN = frozenset({502, 503, 504})
_IN_FLIGHT = 409
_AGAIN_SECONDS = 0.5
"""Pause before a stream that broke off is taken up again."""


@dataclass(slots=True)
class Client:
    """Speaks to all services. `urls`: one base URL for all, or one per service name.

    `actor` is sent as X-Actor (taken on loopback without keys), `key` as API key. `patience`: seconds for which a
    request is tried again while a service does not answer or says 503. Thread-safe.
    """

    urls: str | Mapping[str, str] = "http://127.0.0.1:8080"
    actor: str | None = None
    key: str | None = None
    timeout: float = 30.0
    patience: float = 30.0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(follow_redirects=True))

    def acting_as(self, actor: str) -> "Client":
        """The same connection in another actor's name."""
        return Client(self.urls, actor, self.key, self.timeout, self.patience, self.http)

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def url(self, path: str) -> str:
        """The full URL of a path, at the service that answers it."""
        return ServiceUrls(self.urls).of(path)

    def get(self, path: str, *, after: str | None = None, **query: Any) -> Any:
        """GET; `after` waits until the view has seen that event. Raises ProblemError, UnreachableError."""
        return self.request("GET", path, query=query | {"after": after}).json()

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, after: str | None = None, **query: Any) -> Any:
        """POST JSON; values may be NumPy arrays and datetimes. Raises ProblemError, UnreachableError."""
        return self.request("POST", path, query=query | {"after": after}, content=_json(body or {})).json()

    def put(self, path: str, body: Mapping[str, Any], *, after: str | None = None) -> Any:
        return self.request("PUT", path, query={"after": after}, content=_json(body)).json()

    def infer(self, deployment: str, features: Mapping[str, Any], **parameters: Any) -> Inference:
        """Score n rows by the Open Inference Protocol v2.

        `features`: a column of n values per feature. `parameters`: lists `at`, `entity`, `segment`, `id` of n values.
        """
        body = _json(infer_body(features, parameters))
        return read_inference(self.request("POST", f"/v2/models/{deployment}/infer", content=body).json())

    def predictions(self, deployment: str, version: int, table: pa.Table) -> dict[str, Any]:
        """Log predictions that were made elsewhere: columns `prediction_id`?, `at`?, `feature.NAME`, `output.NAME`."""
        query = {"deployment": deployment, "version": version}
        return self.request("POST", "/v1/predictions", query=query, content=_arrow(table), media_type=ARROW).json()

    def outcomes(self, table: pa.Table) -> dict[str, Any]:
        """Tell outcomes: columns `prediction_id`, `at`, `value`."""
        return self.request("POST", "/v1/outcomes", content=_arrow(table), media_type=ARROW).json()

    def export(self, deployment: str, file: BinaryIO, *, format: str = "parquet", **query: Any) -> int:
        """Write a deployment's predictions of a slice into a file; returns the bytes written. `query` as that of
        `GET /v1/deployments/{name}/predictions`; `from_` stands for `from`. Raises ProblemError, UnreachableError."""
        path = f"/v1/deployments/{quote(deployment, safe='')}/predictions"
        named = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        headers = self._headers("GET", None, JSON, None)
        written = 0
        try:
            with self.http.stream(
                "GET", self.url(path), params={"format": format} | named, headers=headers, timeout=self.timeout
            ) as response:
                if not response.is_success:
                    response.read()
                    _checked(response)
                for part in response.iter_bytes():
                    written += file.write(part)
        except httpx.TransportError as error:
            raise UnreachableError(f"the export from {self.url(path)} broke off: {error}") from error
        return written

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        media_type: str = JSON,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        """One request, tried again while that is safe and useful. Raises ProblemError, UnreachableError."""
        headers = self._headers(method, content, media_type, idempotency_key)
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        deadline, pause = time.monotonic() + self.patience, 0.05
        while True:
            failure: httpx.Response | httpx.TransportError
            try:
                response = self.http.request(
                    method, self.url(path), params=parameters, content=content, headers=headers, timeout=self.timeout
                )
                if not _worth_another_try(response):
                    return _checked(response)
                failure = response
            except httpx.TransportError as error:
                failure = error
            if time.monotonic() + pause > deadline:
                return _give_up(failure, self.url(path))
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    @contextmanager
    def streamed(self, path: str, query: Mapping[str, Any] | None = None) -> Generator[Iterator[bytes], None, None]:
        """GET a large answer piece by piece; it is not tried again. Raises ProblemError, UnreachableError."""
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        headers = self._headers("GET", None, JSON, None)
        try:
            with self.http.stream(
                "GET", self.url(path), params=parameters, headers=headers, timeout=self.timeout
            ) as answer:
                if not answer.is_success:
                    answer.read()
                yield _checked(answer).iter_bytes()
        except httpx.TransportError as error:
            _give_up(error, self.url(path))

    def events(self, path: str, last: str | None = None) -> Iterator[StreamEvent]:
        """Server-sent events as they are made, without end; taken up again behind the last one where the connection
        breaks. `last`: the id of an event from where to begin. Raises ProblemError, UnreachableError after `patience`.
        """
        deadline, failure = time.monotonic() + self.patience, None
        while failure is None or time.monotonic() < deadline:
            headers = self._headers("GET", None, JSON, None) | ({"Last-Event-ID": last} if last else {})
            try:
                with self.http.stream("GET", self.url(path), headers=headers, timeout=self.timeout) as answer:
                    if not answer.is_success:
                        answer.read()
                    if not _worth_another_try(answer):
                        for event in read_events(_checked(answer).iter_lines()):
                            last, deadline = event.id or last, time.monotonic() + self.patience
                            yield event
                failure = answer
            except httpx.TransportError as error:
                failure = error
            time.sleep(_AGAIN_SECONDS)
        if isinstance(failure, httpx.Response) and failure.is_success:
            raise UnreachableError(f"{self.url(path)} keeps closing the stream")
        _give_up(failure, self.url(path))

    def _headers(self, method: str, content: bytes | None, media_type: str, key: str | None) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if self.actor:
            headers["X-Actor"] = self.actor
        if method != "GET":
            headers["Idempotency-Key"] = key or str(uuid7())
        if content is not None:
            headers["Content-Type"] = media_type
        return headers


def _worth_another_try(response: httpx.Response) -> bool:
    if response.status_code in _AGAIN:
        return True
    return response.status_code == _IN_FLIGHT and _document(response).get("type", "").endswith(":request-in-flight")


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise ProblemError(response.status_code, _document(response))


def _give_up(failure: httpx.Response | httpx.TransportError, url: str) -> httpx.Response:
    if isinstance(failure, httpx.Response):
        return _checked(failure)
    raise UnreachableError(f"no answer from {url}: {failure}") from failure


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"detail": response.text[:500]}


def _json(body: Mapping[str, Any]) -> bytes:
    return orjson.dumps(body, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):  # of objects, which orjson does not take as they are
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()
