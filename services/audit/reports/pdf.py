"""A report as PDF, set by Typst. The same document and fonts give the same bytes."""

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import orjson
import typst

MEDIA_TYPE = "application/pdf"
Standard = Literal["a-2a", "ua-1"]
STANDARDS: tuple[Standard, ...] = ("a-2a", "ua-1")
"""For the archive (ISO 19005-2) and for screen readers (ISO 14289-1)."""

_NO_GLYPH = "could not be displayed"


def render(document: dict[str, Any], fonts: Path | None = None) -> bytes:
    """The PDF of a report's document, A4, by STANDARDS; its date is the moment of the report's knowledge.

    Text that neither the fonts of Typst (Latin, Greek, Cyrillic) nor those in the folder `fonts` can draw stands as
    empty boxes; the first page says so, and such a PDF keeps to no standard.
    """
    with as_file(files("services.audit.reports") / "templates" / "report.typ") as source:
        try:
            return _compiled(source, document, fonts, STANDARDS)
        except typst.TypstError as error:
            if _NO_GLYPH not in str(error):
                raise
            return _compiled(source, document, fonts, ())


def _compiled(source: Path, document: dict[str, Any], fonts: Path | None, standards: Sequence[Standard]) -> bytes:
    inputs = {"report": orjson.dumps(document).decode(), "boxes": "" if standards else "yes"}
    return typst.compile(
        source,
        sys_inputs=inputs,
        font_paths=[fonts] if fonts else [],
        ignore_system_fonts=True,
        timestamp=_seconds(document["known_at"]),
        pdf_standards=list(standards),
    )


def _seconds(moment: str) -> int:
    """Seconds since 1970 of a time as the document writes it."""
    return int(datetime.fromisoformat(moment).timestamp())
