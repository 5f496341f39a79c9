"""One request to the console: who it is, what was filled in, and what the services answer; failures become pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import pages
from console.session import PATH, Session
from console.speaking import Speaker
from muniment.errors import ProblemError, UnreachableError
from shared.runtime.identity import Identity
from shared.runtime.problems import Problem

MAX_FIELDS = 100
MAX_PART = 16 * 2**20
SEE_OTHER = 303


@dataclass(frozen=True, slots=True)
class House:
    """What all pages share. `identity`: who may come at all, where no API keys are set up; None: the services tell."""

    speaker: Speaker
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody signed in, at one page. `form`: what was sent, empty for a GET."""

    house: House
    request: Request
    session: Session
    form: FormData

    async def get(self, path: str, **query: Any) -> Any:
        """What a service answers; `from_` stands for `from`. Raises ProblemError, UnreachableError."""
        named = {name.rstrip("_"): value for name, value in query.items()}
        return await self.house.speaker.ask(self.session, "GET", path, named)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """What a service answers to a write; done once, however often the form is sent. Raises as `get`."""
        given = {name: value for name, value in body.items() if value not in (None, "")}
        return await self.house.speaker.ask(
            self.session, "POST", path, content=orjson.dumps(given), key=self.said("key") or None
        )

    async def send(self, path: str, content: bytes, media_type: str, **query: Any) -> Any:
        """A file. Raises as `get`."""
        return await self.house.speaker.ask(
            self.session, "POST", path, query, content, media_type, self.said("key") or None
        )

    def said(self, name: str) -> str:
        """A text of the form, else of the address; "" where there is none."""
        value = self.form.get(name, self.request.query_params.get(name, ""))
        return value.strip() if isinstance(value, str) else ""

    @property
    def after(self) -> str | None:
        """The event that the page must show, behind a write."""
        return self.request.query_params.get("after") or None

    def page(self, name: str, status: int = 200, refresh: int = 0, **said: Any) -> Response:
        """A page. `refresh`: seconds after which the browser is to ask again."""
        return pages.page(name, status, refresh, session=self.session, **said)


Handler = Callable[[Visit], Awaitable[Response]]


def see(path: str, **query: Any) -> Response:
    """On to another page of the console, behind a write."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return RedirectResponse(f"{PATH}{path}" + (f"?{urlencode(given)}" if given else ""), SEE_OTHER)


def route(house: House, path: str, handler: Handler, method: str = "GET") -> Route:
    """A page, for who is signed in; everyone else is asked who they are."""

    async def answered(request: Request) -> Response:
        session = Session.of(request)
        try:
            turned_away(house, request)
            if session is None:
                return _sign_in(request)
            form = FormData()
            if request.method == "POST":
                form = await request.form(max_files=2, max_fields=MAX_FIELDS, max_part_size=MAX_PART)
            return await handler(Visit(house, request, session, form))
        except ProblemError as error:
            if error.status == 401:
                return _sign_in(request)
            return pages.problem(error.status, error.document, session, request.method == "POST")
        except Problem as error:
            return pages.problem(error.status, error.document(request.url.path), session, request.method == "POST")
        except HTTPException as error:
            document = {"title": "Not understood", "detail": f"What was sent cannot be read: {error.detail}"}
            return pages.problem(error.status_code, document, session, request.method == "POST")
        except UnreachableError as error:
            document = {"title": "No answer", "detail": f"A service does not answer: {error}", "fix": "Try again."}
            return pages.problem(502, document, session)

    return Route(PATH + path, answered, methods=[method], include_in_schema=False)


def turned_away(house: House, request: Request) -> None:
    """Raises Problem where another site or another machine acts through this browser or port."""
    if house.identity is not None:
        house.identity.authenticate(request)
    if request.method == "GET":
        return
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if elsewhere or site not in ("same-origin", "none"):
        raise Problem(403, "foreign-origin", "This form was sent from another site.", "Use the console's own pages.")


def _sign_in(request: Request) -> Response:
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = f"?next={quote(back, safe='')}" if request.method == "GET" else ""
    return RedirectResponse(f"{PATH}/sign-in{wanted}", SEE_OTHER)
