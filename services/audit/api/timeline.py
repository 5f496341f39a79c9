"""The timeline of a thing: every event about it, or that tied something to it, in the order in which they happened."""

import heapq
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from services.audit.api.answers import data_of
from services.audit.api.changes import changes_of
from services.audit.api.moments import lateness
from services.audit.api.reader import EVENT_COLUMNS, Moment
from services.audit.projection.kinds import STATED_ELSEWHERE
from services.audit.projection.lineage.edges import (
    kind_of,
)
from shared.log.store import Store
from shared.log.tables import Query, Row, Where, cursor_of, equal
from shared.runtime.problems import Problem

PAGE = 200
Place = tuple[datetime, str]
"""Happened time and id of an event."""


async def timeline(
    store: Store,
    nodes: Sequence[str],
    start: datetime | None,
    moment: Moment,
    cursor: str | None,
    limit: int,
    bulk: bool,
) -> dict[str, Any]:
    """A page of events that touch any of these nodes. `bulk`: batches and windows that hang on it too."""
    queries = [query for node in nodes for query in _queries(node, moment, bulk)]
    ids, following = await event_page(store, queries, start, cursor, limit)
    where = (Where("event_id", "in", ids),)
    rows = await store.find(Query("ledger", where, limit=limit, columns=EVENT_COLUMNS)) if ids else []
    items = [item(row) for row in sorted(rows, key=lambda row: (row["time"], row["event_id"]))]
    return {"items": items, "next": following}


async def event_page(
    store: Store, queries: Sequence[Query], start: datetime | None, cursor: str | None, limit: int
) -> tuple[list[str], str | None]:
    """The ids of a page of the events that any of these queries finds, each once, by happened time; and the cursor of
    the next. Every query orders by its time column first. Raises Problem 422 on a bad cursor."""
    after = _decode(cursor) if cursor else None
    first = max(filter(None, (start, after and after[0])), default=None)
    streams = [_places(store, query, first) for query in queries]
    places: list[Place] = []
    async for place in _merged(streams):
        if (after is None or place > after) and (not places or place != places[-1]):
            places.append(place)
        if len(places) > limit:
            break
    shown = places[:limit]
    return [event_id for _, event_id in shown], _encode(shown[-1]) if len(places) > limit else None


def item(row: Row) -> dict[str, Any]:
    """An event of a timeline; `changes`: what it moved, from and to."""
    kind, _, name = row["node"].partition("/")
    data = data_of(row)
    return {
        "event_id": row["event_id"],
        "type": row["type"],
        "kind": kind,
        "id": name,
        "subject": row["subject"],
        "sequence": row["sequence"],
        "time": row["time"],
        "recorded": row["recorded"],
        **lateness(row["time"], row["recorded"]),
        "actor": row["actor"],
        "changes": changes_of(row["type"], data),
        "data": data,
    }


def _queries(node: str, moment: Moment, bulk: bool) -> list[Query]:
    edge_order = ("valid_at", "event_id")
    queries = [
        Query("ledger", (*equal(node=node), *moment.events), ("time",), PAGE, columns=("time", "event_id")),
        Query("edges", (*equal(dst=node, bulk=False), *moment.facts), edge_order, PAGE),
    ]
    if kind_of(node) in STATED_ELSEWHERE:
        queries.append(Query("edges", (*equal(src=node), *moment.facts), edge_order, PAGE))
    if bulk:
        queries.append(Query("edges", (*equal(dst=node, bulk=True), *moment.facts), edge_order, PAGE))
    if node.startswith("actor/"):
        who = (*equal(actor=node.partition("/")[2]), *moment.events)
        queries.append(Query("ledger", who, ("time",), PAGE, columns=("time", "event_id")))
    return queries


async def _places(store: Store, query: Query, first: datetime | None) -> AsyncIterator[Place]:
    """The events of a query, from `first` on, in order."""
    table, time = store.tables[query.table], query.order[0]
    columns = tuple(dict.fromkeys((time, "event_id", *table.key)))
    where = (*query.where, Where(time, ">=", first)) if first else query.where
    query = replace(query, where=where, columns=columns)
    while True:
        rows = await store.find(query)
        for row in rows:
            yield row[time], row["event_id"]
        if len(rows) < PAGE:
            return
        query = replace(query, after=cursor_of(table, query, rows[-1]))


async def _merged(streams: Sequence[AsyncIterator[Place]]) -> AsyncIterator[Place]:
    heap: list[tuple[Place, int]] = []
    for number, stream in enumerate(streams):
        place = await anext(stream, None)
        if place is not None:
            heapq.heappush(heap, (place, number))
    while heap:
        place, number = heapq.heappop(heap)
        yield place
        following = await anext(streams[number], None)
        if following is not None:
            heapq.heappush(heap, (following, number))


def _encode(place: Place) -> str:
    return urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _decode(cursor: str) -> Place:
    try:
        time, event_id = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None or not isinstance(event_id, str):
            raise ValueError("no cursor")
    except (ValueError, TypeError) as error:
        raise Problem(
            422, "bad-cursor", "The cursor is not one that this list gave.", "Start again without."
        ) from error
    return moment, event_id
