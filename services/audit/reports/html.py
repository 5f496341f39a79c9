"""A report as one HTML page that needs nothing else: no script, no other file."""

import re
from functools import cache
from typing import Any

from jinja2 import Template
from markupsafe import Markup, escape

from services.audit.pages import template

MEDIA_TYPE = "text/html; charset=utf-8"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def render(document: dict[str, Any]) -> bytes:
    """The page of a report's document. All text is escaped; the charts are ours and escape their own."""
    return _template().render(report=document).encode()


def _whole(text: str) -> Markup:
    """Text, escaped, whose dates do not break at their hyphens."""
    return Markup(_DATE.sub(r'<span class="n">\g<0></span>', str(escape(text))))  # noqa: S704 (escaped just here)


@cache
def _template() -> Template:
    return template("services.audit.reports", "report.html.j2", {"drawing": Markup, "whole": _whole})
