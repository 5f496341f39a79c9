"""A report as one HTML page that needs nothing else: no script, no other file."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

MEDIA_TYPE = "text/html; charset=utf-8"


def render(document: dict[str, Any]) -> bytes:
    """The page of a report's document. All text is escaped; the charts are ours and escape their own."""
    return _template().render(report=document).encode()


@cache
def _template():  # type: ignore[no-untyped-def]
    environment = Environment(
        loader=PackageLoader("services.audit.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawing"] = Markup
    return environment.get_template("report.html.j2")
