"""Pages of HTML without a script: how they are made, and the headers under which a browser shows them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from shared.runtime.commands import new_id

CSS = "console.css"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(name: str, status: int = 200, refresh: int = 0, **said: Any) -> Response:
    """A page from a template; all text in it is escaped."""
    headers = HEADERS | ({"Refresh": str(refresh)} if refresh else {})
    return HTMLResponse(rendered(name, **said), status, headers)


def rendered(name: str, **said: Any) -> str:
    """The text of a page or a piece of it. `key`: one for every form of it, under which a write is done once."""
    return environment().get_template(f"{name}.html.j2").render(key=new_id(), css=css()[0], **said)


def problem(status: int, document: Mapping[str, Any], session: Any = None, wrote: bool = False) -> Response:
    """What went wrong, in the service's own words, and what can be done. `wrote`: whether something was to be changed,
    which a refusal says was not."""
    unchanged = wrote and 400 <= status < 500
    return page("problem", status, answered=status, problem=document, session=session, unchanged=unchanged)


@cache
def css() -> tuple[str, bytes]:
    """The style sheet's digest, by which a browser knows a new one, and its bytes."""
    data = files("console").joinpath("templates", CSS).read_bytes()
    return sha256(data).hexdigest()[:12], data


@cache
def environment() -> Environment:
    """Templates: what is missing in them is an error."""
    made = Environment(
        loader=PackageLoader("console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "at": _time,
        "plain": _plain,
        "words": _words,
        "part": lambda text: quote(str(text), safe=""),
        "value": _value,
    }
    made.tests["given"] = lambda value: value not in (None, "", [], {})
    made.globals |= {"bars": bars}
    return made


def bars(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], float, float]]:
    """(contribution, left edge, width) of each bar, in percent of a drawing whose middle is nothing."""
    most = max((abs(one["contribution"]) for one in found), default=0.0) or 1.0
    for one in found:
        width = 50 * abs(one["contribution"]) / most
        yield one, 50.0 if one["contribution"] > 0 else 50.0 - width, width


def _time(value: str | None) -> str:
    """A time of the API, to the second, in UTC."""
    if not value:
        return "–"
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S} UTC"


def _plain(value: Any) -> str:
    """A number as people write it; any other value as it is."""
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, bool) or not isinstance(value, int):
        return "–" if value is None else _value(value)
    return f"{value:,}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _words(text: str | None) -> str:
    """A word of the API as people say it: `model_defect` as `model defect`, `FlagResolved` as `flag resolved`."""
    spaced = "".join(f" {one.lower()}" if one.isupper() else one for one in text or "")
    return spaced.replace("_", " ").strip() or "–"
