"""The one model of a report: parts, sections, and blocks whose every statement names the events that it rests on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from services.audit.reports.facts import Fact
from services.audit.reports.words import instant

SET = 8
"""A statement that rests on more events than this refers to them as one set."""

GAP = "Not on record"


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence or more. `events`: ids of what it rests on; `gap`: it says that something is not on record."""

    text: str
    events: tuple[str, ...] = ()
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, with the events that it rests on."""

    cells: tuple[str, ...]
    events: tuple[str, ...] = ()
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`kind`: `pairs` for names and values, `list` for rows under headings, `findings` where the first cell is a
    severity. `wide` gives the relative widths of the columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    kind: str = "list"
    wide: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with the points that it draws: {series: [[RFC 3339, value], ...]}."""

    title: str
    caption: str
    svg: str
    points: Mapping[str, Sequence[Sequence[Any]]]
    events: tuple[str, ...] = ()


Block = Statement | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """`source`: which paragraph of which rule asks for this."""

    name: str
    title: str
    source: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    title: str
    standard: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. `facts`: by event id, all that it refers to; `truncated`: what met a limit."""

    subject: str
    title: str
    at: datetime
    known_at: datetime
    base_url: str
    parts: tuple[Part, ...]
    facts: Mapping[str, Fact] = field(repr=False, default_factory=dict[str, Fact])


def gap(what: str, events: tuple[str, ...] = ()) -> Statement:
    """The statement that something is not on record."""
    return Statement(f"{GAP}: {what}", events, gap=True)


def document(report: Report) -> dict[str, Any]:
    """The report as plain JSON data, which the renderers show. Numbers of sections are `PART.SECTION`; every block has
    `refs`, which the `register` resolves to events."""
    register = _Register(report)
    parts = [_part(part, number, register) for number, part in enumerate(report.parts, 1)]
    return {
        "subject": report.subject,
        "title": report.title,
        "at": instant(report.at),
        "known_at": instant(report.known_at),
        "base_url": report.base_url,
        "gaps": gaps(report),
        "parts": parts,
        "register": register.entries(),
    }


def gaps(report: Report) -> int:
    """How many statements and rows say that something is not on record."""
    return sum(
        sum(1 for row in block.rows if row.gap) if isinstance(block, Table) else int(getattr(block, "gap", False))
        for block in blocks(report)
    )


def blocks(report: Report) -> Iterator[Block]:
    """Every block, in reading order."""
    for part in report.parts:
        for section in part.sections:
            yield from section.blocks


class _Register:
    """Numbers events and sets of events in the order in which the report refers to them."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._events: dict[str, str] = {}
        self._sets: dict[tuple[str, ...], str] = {}

    def refs(self, events: Iterable[str]) -> list[str]:
        ids = tuple(dict.fromkeys(events))
        if len(ids) > SET:
            return [self._sets.setdefault(ids, f"S{len(self._sets) + 1}")]
        return [self._events.setdefault(one, f"E{len(self._events) + 1}") for one in ids]

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "events": [self._event(ref, one) for one, ref in self._events.items()],
            "sets": [self._set(ref, ids) for ids, ref in self._sets.items()],
        }

    def _event(self, ref: str, event_id: str) -> dict[str, Any]:
        base, fact = self._report.base_url, self._report.facts.get(event_id)
        entry: dict[str, Any] = {
            "ref": ref,
            "event_id": event_id,
            "url": f"{base}/v1/events/{event_id}",
            "proof": f"{base}/v1/proofs/inclusion?event_id={event_id}",
        }
        if fact is None:
            return {**entry, "type": "", "subject": "", "actor": "", "time": "", "recorded": ""}
        return {
            **entry,
            "type": fact.type,
            "subject": fact.subject,
            "actor": fact.actor,
            "time": instant(fact.time),
            "recorded": instant(fact.recorded),
        }

    def _set(self, ref: str, ids: tuple[str, ...]) -> dict[str, Any]:
        facts = sorted((self._report.facts[one] for one in ids if one in self._report.facts), key=lambda one: one.time)
        return {
            "ref": ref,
            "count": len(ids),
            "types": sorted({fact.type for fact in facts}),
            "first": instant(facts[0].time) if facts else "",
            "last": instant(facts[-1].time) if facts else "",
            "sha256": sha256("\n".join(sorted(ids)).encode()).hexdigest(),
            "event_ids": list(ids),
        }


def _part(part: Part, number: int, register: _Register) -> dict[str, Any]:
    sections = [
        {
            "number": f"{number}.{place}",
            "name": section.name,
            "title": section.title,
            "source": section.source,
            "blocks": [_block(block, register) for block in section.blocks],
        }
        for place, section in enumerate(part.sections, 1)
    ]
    return {
        "number": str(number),
        "name": part.name,
        "title": part.title,
        "standard": part.standard,
        "sections": sections,
    }


def _block(block: Block, register: _Register) -> dict[str, Any]:
    if isinstance(block, Statement):
        return {
            "kind": "statement",
            "text": block.text,
            "gap": block.gap,
            "refs": register.refs(block.events),
        }
    if isinstance(block, Table):
        rows = [{"cells": list(row.cells), "gap": row.gap, "refs": register.refs(row.events)} for row in block.rows]
        table = {"kind": "table", "style": block.kind, "title": block.title, "columns": list(block.columns)}
        return {**table, "wide": list(block.wide), "rows": rows}
    return {
        "kind": "chart",
        "title": block.title,
        "caption": block.caption,
        "svg": block.svg,
        "points": {name: list(points) for name, points in block.points.items()},
        "refs": register.refs(block.events),
    }
