"""The dossier of one prediction over HTTP: one call, one document, one page."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from fastapi.responses import Response

from services.audit.api.drawn import drawing, name_outputs
from services.audit.api.graph import walk
from services.audit.api.locating import locate
from services.audit.api.moments import At, KnownAt, asked, lateness
from services.audit.api.predictions import experiments_of, policy_links, story, version_of
from services.audit.api.reader import Reader
from services.audit.api.reports import base_url
from services.audit.dossier import build, html
from services.audit.drawing.words import said_of_flag
from services.audit.pages import shown
from shared.log.tables import Each, Query, Where
from shared.runtime.http import Call, reading
from shared.runtime.openapi import also
from shared.runtime.responses import Answer, encoded
from shared.runtime.service import Service

DEPTH = 6
MAX_REGISTER = 1_000
_STATED = ("event_id", "type", "node", "actor", "time", "recorded")


def add_routes(router: APIRouter, service: Service) -> None:
    """The dossier."""

    @router.get("/v1/dossier/{prediction_id:path}", response_class=Response, responses=also(410))
    async def dossier(
        prediction_id: str,
        call: Annotated[Call, Depends(reading(service))],
        at: At = None,
        known_at: KnownAt = None,
        wanted: Annotated[Literal["json", "html"], Parameter(alias="format", description="json or html.")] = "json",
    ) -> Response:
        """All that concerns one prediction, as of both times: inputs, answer, version, who approved it, data, code, the
        gates and the policy of that day, the trial, the outcome, and what experts said, each with its events."""
        given = await asked(call, at, known_at, data=True)
        when = given.moment
        reader = Reader(service.store, when, service.settings.lineage_max_nodes)
        found = await locate(service.log, reader, prediction_id)
        told = await story(service.log, reader, found)
        document = await _document(reader, told)
        question = {"prediction_id": prediction_id, "at": when.at, "known_at": when.known_at, "ledger": given.ledger}
        document = {**question, **document, "truncated": reader.truncated}
        if wanted == "json":
            return Answer(document)
        most = service.settings.lineage_max_drawn
        graph = await walk(reader, found.nodes, DEPTH, "both", service.settings.lineage_max_nodes, found.links())
        await graph.support(version_of(told), policy_links(told), experiments_of(told))
        answer = await graph.answer()
        page = await asyncio.to_thread(_page, document, answer, found.nodes, most, base_url(call))
        return shown(page, html.MEDIA_TYPE, f"{prediction_id.replace('/', '-')}.html")


async def _document(reader: Reader, told: dict[str, Any]) -> dict[str, Any]:
    for flag in told["flags"]:
        for step in flag["history"]:
            step["words"] = said_of_flag(step["type"], step["data"])
    document = build.document(told, [])
    ids = build.event_ids(document)[:MAX_REGISTER]
    return {**document, "events": await _register(reader, ids)}


async def _register(reader: Reader, ids: list[str]) -> list[dict[str, Any]]:
    """The events of these ids that were known by then, in the order in which they happened."""
    each = Each((("event_id", "="),), tuple((one,) for one in ids))
    known = (Where("recorded", "<=", reader.moment.known_at),)
    rows = await reader.store.find(Query("ledger", known, limit=1, columns=_STATED, each=each)) if ids else []
    rows.sort(key=lambda row: (row["time"], row["recorded"], row["event_id"]))
    return [{**row, **lateness(row["time"], row["recorded"])} for row in rows]


def _page(document: dict[str, Any], answer: dict[str, Any], starts: list[str], most: int, base: str) -> bytes:
    name_outputs({**answer, "prediction": document["prediction"]}, starts[:-1])
    picture = drawing(answer, starts[:-1], most, f"Lineage of prediction {document['prediction']['id']}")
    times = {f"{name}_text": encoded(document[name]).decode().strip('"') for name in ("at", "known_at")}
    return html.render({**document, **times}, picture, base)
