"""The questions of auditors over HTTP: lineage, estate, timelines, events, verifications."""

from asyncio import gather
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from fastapi.responses import Response

from services.audit.api import columns, dossiers, exports, proofs, reports, verifications
from services.audit.api.answers import EVENT_FIX
from services.audit.api.drawn import Format, drawn, name_outputs
from services.audit.api.estate import estate
from services.audit.api.estate_diff import difference
from services.audit.api.graph import Direction, Walk, must_exist, walk
from services.audit.api.locating import Located, locate
from services.audit.api.moments import At, KnownAt, asked, lateness
from services.audit.api.predictions import experiments_of, policy_links, story, version_of
from services.audit.api.reader import Moment, Reader
from services.audit.api.timeline import timeline
from services.audit.api.touched import batches, ranges, sources
from services.audit.parts.store import with_parts
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.http import Call, page, reading
from shared.runtime.openapi import also
from shared.runtime.problems import not_found
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import Instant, utc

From = Annotated[Instant | None, Parameter(alias="from", description="Happened at or after.")]
To = Annotated[Instant | None, Parameter(description="Happened at or before.")]
RecordedFrom = Annotated[Instant | None, Parameter(description="Recorded at or after.")]
_OF_DATA = frozenset({"batch", "joined", "outcome", "prediction"})
"""Kinds whose answers rest on predictions and outcomes, not only on what services state."""

Limit = Annotated[int, Parameter(ge=1, description="Items of one page.")]


def router(service: Service) -> APIRouter:
    """Every endpoint of audit."""
    api, service = APIRouter(tags=["audit"]), with_parts(service)
    _lineage(api, service)
    _estate(api, service)
    _difference(api, service)
    _touched(api, service)
    _timeline(api, service)
    _events(api, service)
    verifications.add_routes(api, service)
    proofs.add_routes(api, service)
    dossiers.add_routes(api, service)
    reports.add_routes(api, service)
    exports.add_routes(api, service)
    return api


def _lineage(api: APIRouter, service: Service) -> None:
    settings = service.settings
    depths = Parameter(ge=0, le=settings.lineage_max_depth, description="Edges from the start at most.")

    @api.get("/v1/lineage/{kind}/{name:path}", response_class=Response, responses=also(410))
    async def lineage(
        kind: str,
        name: str,
        call: Annotated[Call, Depends(reading(service))],
        at: At = None,
        known_at: KnownAt = None,
        depth: Annotated[int, depths] = settings.lineage_max_depth,
        direction: Direction = "both",
        with_columns: Annotated[
            bool, Parameter(alias="columns", description="Of a version: which columns its inputs come from, too.")
        ] = False,
        wanted: Annotated[Format, Parameter(alias="format", description="json, mermaid or svg.")] = "json",
    ) -> Response:
        """What a thing came from (`up`) and what came from it (`down`), as of both times; as data or as a picture."""
        given = await asked(call, at, known_at, data=kind in _OF_DATA)
        when = given.moment
        reader = Reader(service.store, when, settings.lineage_max_nodes)
        question = {"kind": kind, "id": name, "at": when.at, "known_at": when.known_at, "ledger": given.ledger}
        if kind == "prediction":
            found = await locate(service.log, reader, name)
            told, graph = await gather(
                story(service.log, reader, found),
                walk(reader, found.nodes, depth, direction, settings.lineage_max_nodes, found.links()),
            )
            if direction != "down" and depth > 1:
                await graph.support(version_of(told), policy_links(told), experiments_of(told))
            answer, starts = {**question, **told, **await graph.answer()}, found.nodes[:-1]
            if wanted != "json":
                name_outputs(answer, starts)
                return await drawn(answer, starts, wanted, settings, f"Lineage of prediction {name}")
            return Answer(answer)
        start = f"{kind}/{name}"
        if kind == columns.KIND:
            known = await columns.Columns.read(reader)
            column = known.named(name)
            start = columns.node_of(column)
            graph = Walk(reader, settings.lineage_max_nodes, {start: None})
            await columns.walked(known, graph, [column], depth, direction)
        else:
            await must_exist(service.store, settings, kind, name, when)
            graph = await walk(reader, [start], depth, direction, settings.lineage_max_nodes)
            known = await _inputs(reader, graph, start, depth) if with_columns and direction != "down" else None
        answer = {**question, **await graph.answer()}
        if known is not None:
            answer["nodes"] = [known.described(node) for node in answer["nodes"]]
        if wanted != "json":
            return await drawn(answer, [start], wanted, settings, f"Lineage of {kind} {name}")
        return Answer(answer)


async def _inputs(reader: Reader, graph: Walk, version: str, depth: int) -> columns.Columns:
    """Add to the lineage of a version the columns that its inputs come from, and what these were made of."""
    known = await columns.Columns.read(reader)
    edges = await columns.inputs_of(known, version) if depth else []
    met = graph.add(edges, lambda row: row["dst"])
    start = [one for one in known.told if columns.node_of(one) in met]
    await columns.walked(known, graph, start, depth - 1, "up")
    return known


def _estate(api: APIRouter, service: Service) -> None:
    @api.get("/v1/estate")
    async def get_estate(
        call: Annotated[Call, Depends(reading(service))], at: At = None, known_at: KnownAt = None
    ) -> Answer:
        """Every deployment live at that moment."""
        given = await asked(call, at, known_at)
        when = given.moment
        reader = Reader(service.store, when, service.settings.lineage_max_nodes)
        items = await estate(reader)
        answer = {"at": when.at, "known_at": when.known_at, "ledger": given.ledger, "items": items, "next": None}
        return Answer({**answer, "truncated": reader.truncated})


def _difference(api: APIRouter, service: Service) -> None:
    @api.get("/v1/estate/diff")
    async def estate_difference(
        call: Annotated[Call, Depends(reading(service))],
        start: Annotated[Instant, Parameter(alias="from", description="What was true at this time")],
        to: Annotated[Instant | None, Parameter(description="and at this; default now.")] = None,
        known_from: Annotated[
            Instant | None, Parameter(description="As known at this time; default as `known_to`.")
        ] = None,
        known_to: Annotated[Instant | None, Parameter(description="and at this; default now.")] = None,
    ) -> Answer:
        """What was added to the estate, removed from it and changed between two instants, by whom, by which event. With
        `known_from` before `known_to` and `from` equal to `to`: what we learned about that instant since."""
        given = await asked(call, to, known_to)
        after = given.moment
        before = Moment(utc(start) or after.at, utc(known_from) or after.known_at)
        readers = [Reader(service.store, one, service.settings.lineage_max_nodes) for one in (before, after)]
        found = await difference(*readers)
        ends = {name: {"at": one.at, "known_at": one.known_at} for name, one in (("from", before), ("to", after))}
        ends["ledger"] = given.ledger
        return Answer({**ends, **found, "truncated": any(one.truncated for one in readers)})


def _touched(api: APIRouter, service: Service) -> None:
    @api.get("/v1/touched/{kind}/{name:path}")
    async def get_touched(
        kind: str,
        name: str,
        call: Annotated[Call, Depends(reading(service))],
        start: From = None,
        at: At = None,
        known_at: KnownAt = None,
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Answer:
        """Which predictions a data set (run, pipeline, goal, model, version, deployment) touched, as of both times: the
        versions that came of it with their first and last batch, and a page of all batches of theirs."""
        given = await asked(call, at, known_at, data=True)
        when = given.moment
        await must_exist(service.store, service.settings, kind, name, when)
        reader = Reader(service.store, when, service.settings.lineage_max_nodes)
        nodes, more = await sources(reader, f"{kind}/{name}", service.settings.touched_max_sources)
        size = min(limit, service.settings.max_page)
        found = await batches(service.store, reader, nodes, utc(start), cursor, size)
        question = {"kind": kind, "id": name, "at": when.at, "known_at": when.known_at, "ledger": given.ledger}
        told = {**question, "sources": await ranges(reader, nodes), **found}
        return Answer({**told, "truncated": more or reader.truncated})


def _timeline(api: APIRouter, service: Service) -> None:
    @api.get("/v1/timeline/{kind}/{name:path}", responses=also(410))
    async def get_timeline(
        kind: str,
        name: str,
        call: Annotated[Call, Depends(reading(service))],
        start: From = None,
        to: To = None,
        known_at: KnownAt = None,
        bulk: Annotated[bool, Parameter(description="Batches and windows that hang on it too.")] = False,
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Answer:
        """Every event that touches a thing, in the order in which they happened."""
        ever = datetime.max.replace(tzinfo=UTC)
        given = await asked(call, to, known_at, data=bulk or kind in _OF_DATA, default=ever)
        when = given.moment
        size = min(limit, service.settings.max_page)
        if kind == "prediction":
            found: Located = await locate(service.log, Reader(service.store, when, size), name)
            nodes, bulk = found.nodes, True
        else:
            await must_exist(service.store, service.settings, kind, name, when)
            nodes = [f"{kind}/{name}"]
        found_page = await timeline(service.store, nodes, utc(start), when, cursor, size, bulk)
        return Answer({"known_at": when.known_at, "ledger": given.ledger, **found_page})


def _events(api: APIRouter, service: Service) -> None:
    @api.get("/v1/events")
    async def list_events(
        call: Annotated[Call, Depends(reading(service))],
        type_name: Annotated[str | None, Parameter(alias="type")] = None,
        subject: str | None = None,
        actor: str | None = None,
        start: From = None,
        to: To = None,
        known_at: KnownAt = None,
        recorded_from: RecordedFrom = None,
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Answer:
        """Events as structured CloudEvents, in the order in which they happened; with `recorded_from` in the order in
        which they were recorded, so that who asks again with the last time seen misses none."""
        given = {"type": type_name, "subject": subject, "actor": actor}
        where = equal(**{name: value for name, value in given.items() if value is not None})
        where += (Where("time", ">=", utc(start)),) if start else ()
        where += (Where("time", "<=", utc(to)),) if to else ()
        where += (Where("recorded", "<=", utc(known_at)),) if known_at else ()
        where += (Where("recorded", ">=", utc(recorded_from)),) if recorded_from else ()
        order = ("recorded",) if recorded_from else ("time",)
        return Answer(await page(service, Query("ledger", where, order, limit), cursor, structured))

    @api.get("/v1/events/{event_id}")
    async def get_event(event_id: str, call: Annotated[Call, Depends(reading(service))]) -> Answer:
        """One event as a structured CloudEvent, with its place in the ledger."""
        row = await service.store.get("ledger", event_id)
        if row is None:
            not_found("event", event_id, [], EVENT_FIX)
        return Answer(structured(row))


def structured(row: Row) -> dict[str, Any]:
    """A ledger row as a CloudEvent in JSON; `ledger` tells where the log keeps it and the hash of its leaf (hex)."""
    event: dict[str, Any] = orjson.loads(row["entry"])
    place = {name: row[name] for name in ("topic", "partition", "offset")}
    late = lateness(row["time"], row["recorded"])
    return {**event, **late, "ledger": {**place, "leaf": row["leaf"].hex(), "node": row["node"]}}
