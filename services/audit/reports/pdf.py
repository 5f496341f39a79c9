"""A report as PDF, set by Typst. The same document gives the same bytes."""

from datetime import datetime
from importlib.resources import as_file, files
from typing import Any

import orjson
import typst

MEDIA_TYPE = "application/pdf"


def render(document: dict[str, Any]) -> bytes:
    """The PDF of a report's document: tagged, A4, with bookmarks; its date is the moment of the report's knowledge."""
    with as_file(files("services.audit.reports") / "templates" / "report.typ") as source:
        return typst.compile(
            source,
            sys_inputs={"report": orjson.dumps(document).decode()},
            ignore_system_fonts=True,
            timestamp=_seconds(document["known_at"]),
        )


def _seconds(moment: str) -> int:
    """Seconds since 1970 of a time as the document writes it."""
    return int(datetime.fromisoformat(moment.removesuffix(" UTC") + "+00:00").timestamp())
