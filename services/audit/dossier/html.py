"""A dossier as one HTML page that needs nothing else: no script, no other file."""

from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from services.audit.pages import template

MEDIA_TYPE = "text/html; charset=utf-8"


def render(document: dict[str, Any], drawing: str, base: str) -> bytes:
    """The page of a document; `drawing`: its lineage as SVG, `base`: where links lead."""
    numbers = {event["event_id"]: number for number, event in enumerate(document["events"], 1)}
    return _template().render(it=_said(document), drawing=Markup(drawing), base=base, numbers=numbers).encode()  # noqa: S704


class _Said(dict[str, Any]):
    """What was said of a thing; of what nothing was said (yet) there is nothing to show."""

    def __missing__(self, name: str) -> None:
        return None


def _said(value: Any) -> Any:
    """The document with every `attributes` so."""
    if isinstance(value, dict):
        found: dict[str, Any] = value
        return {
            name: _Said(_said(one)) if name == "attributes" and isinstance(one, dict) else _said(one)
            for name, one in found.items()
        }
    return [_said(one) for one in value] if isinstance(value, list) else value


def _when(moment: Any) -> str:
    """A time to the second, in UTC."""
    if moment is None:
        return ""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _figure(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _late(seconds: float) -> str:
    """How long after it happened something was recorded."""
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:,.0f} seconds"


@cache
def _template() -> Template:
    return template("services.audit.dossier", "dossier.html.j2", {"when": _when, "figure": _figure, "late": _late})
