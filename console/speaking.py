"""HTTP to the services, in the name of whoever is signed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx
import orjson
from starlette.types import ASGIApp

from console.session import Session
from muniment.errors import ProblemError, UnreachableError
from muniment.routes import ServiceUrls

SECONDS = 30.0
LOCAL = "http://localhost"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Speaker:
    """`urls`: one base URL for all services, or one for each."""

    urls: ServiceUrls
    http: httpx.AsyncClient

    @classmethod
    def to(cls, urls: str | Mapping[str, str]) -> Self:
        """Services elsewhere."""
        return cls(ServiceUrls(urls), httpx.AsyncClient(timeout=SECONDS))

    @classmethod
    def within(cls, app: ASGIApp) -> Self:
        """The services of the process that shows the console, too. Whoever asks it from elsewhere is turned away by
        `visit`, since to the services it is this machine itself that asks."""
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 0))
        return cls(ServiceUrls(LOCAL), httpx.AsyncClient(transport=transport, timeout=SECONDS))

    async def ask(
        self,
        session: Session,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        media_type: str = JSON,
        key: str | None = None,
    ) -> Any:
        """The JSON that a service answers. `key`: under which a write is done once. Raises ProblemError,
        UnreachableError."""
        headers = session.headers() | ({"Idempotency-Key": key} if key else {})
        if content is not None:
            headers["Content-Type"] = media_type
        parameters = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        return _document(await self._sent(method, path, params=parameters, content=content, headers=headers))

    async def fetch(self, session: Session, path: str) -> httpx.Response:
        """What a service has there, whatever its type. Raises as `ask`."""
        return await self._sent("GET", path, headers=session.headers())

    async def _sent(self, method: str, path: str, **sent: Any) -> httpx.Response:
        url = self.urls.of(path)
        try:
            answer = await self.http.request(method, url, **sent)
        except httpx.TransportError as error:
            raise UnreachableError(f"no answer from {url}: {error}") from error
        if not answer.is_success:
            raise ProblemError(answer.status_code, _document(answer))
        return answer


def _document(answer: httpx.Response) -> Any:
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {"title": "No answer of a service", "detail": answer.text[:500]}
