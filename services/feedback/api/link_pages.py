"""Pages that somebody without an account sees behind a signed link: the button, the thanks, and what went wrong."""

from base64 import b64encode
from hashlib import sha256
from html import escape

from fastapi import Request
from fastapi.responses import HTMLResponse

from services.feedback.api.bodies import FlagBody
from services.feedback.domain.links import Link
from shared.log.tables import Row
from shared.runtime.problems import Problem

_STYLE = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;"
    "padding:0 1rem}button{font:inherit;padding:.5rem 1rem}p{overflow-wrap:anywhere}"
)
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="icon" href="data:,"><style>{style}</style></head><body><main><h1>{title}</h1>
{body}</main></body></html>"""
_ASKED = """<p>{what}</p><p>{comment}</p><form method="post"><button>Flag it</button></form>
<p><small>This link flags once, until {until}.</small></p>"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
        "img-src data:; form-action 'self'; base-uri 'none'"
    ),
}


def is_person(request: Request) -> bool:
    """Whether a browser asks, by what it takes: then it is answered with a page, and with JSON otherwise."""
    return "text/html" in request.headers.get("accept", "")


def asked(link: Link) -> HTMLResponse:
    """What the link flags, and one button."""
    body = FlagBody.model_validate(link.body)
    what = body.prediction_id or body.model or body.pipeline or (body.slice and body.slice.deployment) or ""
    said = f"{what}: {body.category.replace('_', ' ')}, severity {body.severity}"
    told = {"what": escape(said), "comment": escape(body.comment), "until": escape(link.expires.isoformat())}
    return _page("Is this wrong?", _ASKED.format(**told), 200)


def thanked(flag: str) -> HTMLResponse:
    """The flag is on record."""
    text = f"<p>It is on record, and somebody will look at it. Nothing else is needed.</p><p><small>Flag {escape(flag)}"
    return _page("Thank you", f"{text}</small></p>", 201)


def used(flag: Row) -> HTMLResponse:
    """What became of the flag, for who has no account to look it up with."""
    said = f"Your flag of {flag['raised_at']:%Y-%m-%d %H:%M} UTC is on record; this link flags no second time."
    answer = "Nobody has answered it yet."
    if flag["resolution"]:
        answer = f"It was answered: {flag['resolution'].replace('_', ' ')}. {flag['answer']}"
    elif flag["assignee"]:
        answer = f"{flag['assignee']} looks into it."
    elif flag["state"] == "lapsed":
        answer = "The prediction that it is about did not come."
    return _page("Flagged already", f'<p role="status">{escape(said)}</p><p>{escape(answer)}</p>', 410)


def failed(problem: Problem) -> HTMLResponse:
    """What is wrong with the link, and what to do."""
    body = f'<p role="alert">{escape(problem.detail)}</p><p>{escape(problem.fix)}</p>'
    return _page(problem.code.replace("-", " ").capitalize(), body, problem.status, problem.headers)


def _page(title: str, body: str, status: int, headers: dict[str, str] | None = None) -> HTMLResponse:
    text = _PAGE.format(title=escape(title), style=_STYLE, body=body)
    return HTMLResponse(text, status, _HEADERS | (headers or {}))
