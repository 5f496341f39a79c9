"""Makes reports: gathers the facts, builds the one document, and renders it beside the requests."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from services.audit.domain.report import Issue
from services.audit.moment import Moment
from services.audit.reports import html, pdf
from services.audit.reports.build import inventory_report, model_report
from services.audit.reports.document import Report, document
from services.audit.reports.gathering import Gathering
from services.audit.reports.sections.estate import Entry, entry
from services.audit.reports.shelf import Shelf
from shared.events.audit import IssuedFile
from shared.runtime.service import Service

Format = Literal["json", "html", "pdf"]
FORMATS: tuple[Format, ...] = ("json", "html", "pdf")
MEDIA_TYPES = {"json": "application/json", "html": html.MEDIA_TYPE, "pdf": pdf.MEDIA_TYPE}


@dataclass(slots=True)
class Press:
    """Renders at most `max_reports` reports at once."""

    service: Service
    _turn: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._turn = asyncio.Semaphore(self.service.settings.max_reports)

    async def model(self, name: str, moment: Moment, base_url: str) -> dict[str, Any] | None:
        """The document about a model; None where it was not registered at that moment."""
        facts = await self._gathering(moment).model(name)
        return None if facts is None else await self._documented(model_report, facts, base_url)

    async def inventory(self, moment: Moment, base_url: str) -> dict[str, Any]:
        """The document about all models."""
        entries: list[Entry] = []
        for name in await self._gathering(moment).models():
            facts = await self._gathering(moment).model(name)
            entries += [await asyncio.to_thread(entry, facts)] if facts else []
        gathering = self._gathering(moment)
        everything = gathering.facts("", await gathering.common())
        return await self._documented(inventory_report, entries, everything, base_url)

    async def render(self, made: dict[str, Any], format: Format) -> bytes:
        """A document in one format."""
        async with self._turn:
            if format == "pdf":
                return await asyncio.to_thread(pdf.render, made, self.service.settings.report_fonts)
            render = html.render if format == "html" else _json
            return await asyncio.to_thread(render, made)

    async def keep(self, issue: Issue, made: dict[str, Any], formats: Sequence[Format]) -> Issue:
        """Render, put the bytes on the shelf, and answer the command with their digests."""
        shelf = Shelf.of(self.service.settings)
        files: list[IssuedFile] = []
        for one in dict.fromkeys(formats):
            data = await self.render(made, one)
            files.append(IssuedFile(format=one, sha256=await asyncio.to_thread(shelf.put, data), length=len(data)))
        plain = (issue.report, issue.model, issue.at, issue.known_at, made["gaps"], tuple(files))
        return Issue(*plain, issue.period, issue.reason)

    def _gathering(self, moment: Moment) -> Gathering:
        return Gathering(self.service.store, moment, self.service.settings.report_max_events)

    async def _documented(self, build: Any, *arguments: Any) -> dict[str, Any]:
        async with self._turn:
            return await asyncio.to_thread(_document, build, *arguments)


def _document(build: Any, *arguments: Any) -> dict[str, Any]:
    made: Report = build(*arguments)
    return document(made)


def _json(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
