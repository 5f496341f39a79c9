"""Signed links: flag with one click, from anywhere, without an account."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import Field

from services.feedback.api import link_pages
from services.feedback.api.bodies import FlagBody, Name
from services.feedback.api.keys import link_key
from services.feedback.api.limiting import limited
from services.feedback.api.raising import Link as Raised
from services.feedback.api.raising import Raising
from services.feedback.api.roles import FLAGGERS
from services.feedback.domain import flags
from services.feedback.domain.links import MAX_TOKEN, Expired, Link, NotGenuine, opened, token
from shared.log.store import Conflict, UnitOfWork
from shared.runtime.commands import Context, new_id, now
from shared.runtime.http import Call, writing
from shared.runtime.identity import usable_actor
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer, contended
from shared.runtime.service import Service

PATH = "/v1/flag-links"
_LINK = {
    "type": "object",
    "required": ["token", "path", "expires_at"],
    "properties": {
        "token": {"type": "string"},
        "path": {"type": "string"},
        "expires_at": {"type": "string", "format": "date-time"},
    },
}
_ISSUED = {"responses": {"201": {"content": {"application/json": {"schema": _LINK}}}}}


class LinkBody(FlagBody):
    """What the link flags, as POST /v1/flags takes it; `expires_seconds`: for how long; `actor`: in whose name, else
    the issuer's link."""

    expires_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    actor: Name | None = None


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    issuing = Depends(writing(service, *FLAGGERS))
    raising = Raising(service)
    keys: list[bytes] = []

    def key() -> bytes:
        if not keys:
            keys.append(link_key(service.settings))
        return keys[0]

    @routes.post(PATH, status_code=201, openapi_extra=_ISSUED)
    async def issue(body: LinkBody, call: Annotated[Call, issuing]) -> JSONResponse:
        """Make a link that raises this one flag, once, until it expires; nothing is kept of it before. POST to `path`
        flags with one click from an application of your own; GET shows a page with one button, since programs that look
        at links in mails must not flag. 422 beyond MUNIMENT_FLAG_LINK_SECONDS."""
        most = service.settings.flag_link_seconds
        if body.expires_seconds > most:
            raise Problem(422, "link-too-long", f"A link may be good for {most:.0f} s at most.")
        actor = body.actor or f"link of {call.caller.actor}"
        if not usable_actor(actor):
            raise Problem(422, "bad-actor", "'actor' must be 1 to 200 printable characters.")
        said = FlagBody.model_validate(body.model_dump(exclude={"expires_seconds", "actor"}))
        async with service.store.begin() as unit:
            await raising.check(unit, said, call.context())
        expires = (now() + timedelta(seconds=body.expires_seconds)).replace(microsecond=0) + timedelta(seconds=1)
        plain = said.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        made = token(key(), Link(new_id(), call.caller.actor, actor, expires, plain))
        if len(made) > MAX_TOKEN:
            raise Problem(422, "link-too-large", "The link would be too long for a URL.", "Say less in it.")
        return Answer({"token": made, "path": f"{PATH}/{made}", "expires_at": expires}, 201)

    @routes.get(PATH + "/{token}", response_class=HTMLResponse, responses=also(410))
    async def show(token: str, request: Request) -> Response:
        """A page that tells what the link flags, with one button; behind its use, 410 with what became of the flag. 403
        and 410 as POST."""
        try:
            link = _opened(key(), token)
            if (flag := await service.store.get("flags", link.flag)) is not None:
                if link_pages.is_person(request):
                    return link_pages.used(flag)
                raise _used(link)
        except Problem as problem:
            return _told(request, problem)
        return link_pages.asked(link)

    @routes.post(PATH + "/{token}", status_code=201, responses=also(410, 429))
    async def use(token: str, request: Request) -> Response:
        """Raise the link's flag. No account is needed: the link is the right to do this one thing. 403
        `link-not-genuine` where it was changed, 410 `link-expired`, 410 `link-used`. A browser that takes `text/html`
        is answered with a page."""
        try:
            link = _opened(key(), token)
            await limited(service, f"link/{link.issuer}")
            answer = await _use(raising, link)
        except Problem as problem:
            return _told(request, problem)
        return link_pages.thanked(link.flag) if link_pages.is_person(request) else answer


def _told(request: Request, problem: Problem) -> HTMLResponse:
    """For a person. Raises the Problem for a program."""
    if not link_pages.is_person(request):
        raise problem
    return link_pages.failed(problem)


async def _use(raising: Raising, link: Link) -> JSONResponse:
    body = FlagBody.model_validate(link.body)

    async def work(unit: UnitOfWork) -> dict[str, Any]:
        _, state = await raising.service.commands.state_in(unit, flags, f"flag/{link.flag}")
        if state.state != "none":
            raise _used(link)
        context = Context(link.actor, now(), link.flag)
        return await raising.flag(unit, body, context, "link", Raised(link.flag, link.issuer))

    try:
        return Answer(await raising.service.commands.attempt(work), 201)
    except Conflict as error:
        raise contended() from error


def _used(link: Link) -> Problem:
    detail = f"This link has raised its flag already: {link.flag}."
    return Problem(410, "link-used", detail, "Ask for a new link.", flag=link.flag)


def _opened(key: bytes, given: str) -> Link:
    try:
        return opened(key, given, now())
    except NotGenuine as error:
        detail = "This link was not made here, or was changed on its way."
        raise Problem(403, "link-not-genuine", detail, "Use it exactly as it was given.") from error
    except Expired as error:
        raise Problem(410, "link-expired", f"This link was good until {error}.", "Ask for a new link.") from error
