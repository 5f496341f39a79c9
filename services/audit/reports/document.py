"""The one model of a report: parts, sections, and blocks whose every statement names the events that it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.audit.reports.facts import Fact
from services.audit.reports.register import Register
from shared.events.codec import rfc3339

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
    """The report as plain JSON data, which the renderers show. Its moment is exact, so that who asks for it again gets
    the same report. Numbers of sections are `PART.SECTION`; every block has
    `refs`, which the `register` resolves to events."""
    register = Register(report.base_url, report.facts)
    parts = [_part(part, number, register) for number, part in enumerate(report.parts, 1)]
    return {
        "subject": report.subject,
        "title": report.title,
        "at": rfc3339(report.at),
        "known_at": rfc3339(report.known_at),
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


def _part(part: Part, number: int, register: Register) -> dict[str, Any]:
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


def _block(block: Block, register: Register) -> dict[str, Any]:
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
