"""All pages of the console, as routes to put into an app."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import answering, deciding, many, pages
from console.session import PATH, Session, forget
from console.speaking import Speaker
from console.visit import SEE_OTHER, House, route, turned_away
from muniment.errors import ProblemError, UnreachableError
from shared.runtime.identity import Identity
from shared.runtime.problems import Problem

STYLE_SECONDS = 31_536_000


def routes(speaker: Speaker, identity: Identity | None) -> list[Route]:
    """Everything under /console. `identity`: as `House`."""
    house = House(speaker, identity)
    found = [
        route(house, path, handler, method)
        for path, method, handler in (*deciding.PAGES, *many.PAGES, *answering.PAGES)
    ]
    return [*_open(house), *found, Route(PATH + "/{rest:path}", _nowhere, include_in_schema=False)]


def _open(house: House) -> list[Route]:
    """What is shown to who is not signed in."""

    async def style(request: Request) -> Response:
        headers = {"Cache-Control": f"public, immutable, max-age={STYLE_SECONDS}", "X-Content-Type-Options": "nosniff"}
        return Response(pages.css()[1], media_type="text/css", headers=headers)

    async def sign_in(request: Request) -> Response:
        return _asked(request)

    async def signed_in(request: Request) -> Response:
        try:
            turned_away(house, request)
            form = await request.form(max_files=0, max_fields=10)
            session = Session.given(str(form.get("as", "")))
            await house.speaker.ask(session, "GET", "/v1/notices", {"limit": 1})
        except ValueError as error:
            return _asked(request, 422, str(error))
        except ProblemError as error:
            return _asked(request, error.status, str(error))
        except Problem as error:
            return _asked(request, error.status, error.detail)
        except (UnreachableError, HTTPException) as error:
            return _asked(request, 502, str(error))
        wanted = request.query_params.get("next", "")
        ours = wanted.startswith((f"{PATH}/", f"{PATH}?")) and "\\" not in wanted
        answer = RedirectResponse(wanted if ours else PATH, SEE_OTHER)
        session.keep(answer, request)
        return answer

    async def sign_out(request: Request) -> Response:
        answer = RedirectResponse(f"{PATH}/sign-in", SEE_OTHER)
        forget(answer)
        return answer

    return [
        Route(f"{PATH}/{pages.CSS}", style, include_in_schema=False),
        Route(f"{PATH}/sign-in", sign_in, include_in_schema=False),
        Route(f"{PATH}/sign-in", signed_in, methods=["POST"], include_in_schema=False),
        Route(f"{PATH}/sign-out", sign_out, methods=["POST"], include_in_schema=False),
    ]


def _asked(request: Request, status: int = 200, reason: str = "") -> Response:
    return pages.page("sign_in", status, session=None, reason=reason, next=request.query_params.get("next", ""))


async def _nowhere(request: Request) -> Response:
    document = {"title": "No such page", "detail": f"There is no page {request.url.path}.", "fix": ""}
    return pages.problem(404, document, Session.of(request))
