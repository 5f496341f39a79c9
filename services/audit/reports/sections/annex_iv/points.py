"""How a statement about a point of Annex IV is written: its point in brackets, then what is on record."""

from collections.abc import Iterable

from services.audit.reports.document import Statement, gap
from services.audit.reports.facts import Fact, ids


def on_record(point: str, text: object, facts: Iterable[Fact | None], lacking: str = "") -> Statement:
    """The statement about a point, or the gap where there is nothing to say."""
    place, _, what = point.partition(" ")
    if not text:
        return gap(f"[{place}] {lacking or what}.", ids(facts))
    words = str(text)
    end = "" if words.endswith((".", "?")) else "."
    return Statement(f"[{place}] {what[0].upper()}{what[1:]}: {words}{end}", ids(facts))
