"""Which predictions a thing touched: the versions that came of it, and the batches in which they answered, by page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.audit.api.answers import data_of
from services.audit.api.reader import EVENT_COLUMNS, Reader
from services.audit.api.timeline import PAGE, event_page
from services.audit.projection.lineage.edges import (
    kind_of,
)
from shared.events.batches import prediction_id
from shared.log.store import Store
from shared.log.tables import Each, Query, Row, Where, equal

ON_THE_WAY = frozenset({"dataset", "goal", "model", "pipeline", "run", "version"})
"""Kinds over which what a thing touched is followed: from data to runs, models and versions."""

_BATCHES = (*equal(bulk=True), Where("src", "prefix", "batch/"))


async def sources(reader: Reader, node: str, most: int) -> tuple[list[str], bool]:
    """The versions that came of a thing (of a deployment itself), and whether there are more than `most`."""
    if kind_of(node) == "deployment":
        return [node], False
    seen, frontier = {node}, {node}
    while frontier and len(seen) <= most * 10:
        rows = await reader.edges_to(frontier)
        frontier = {end for end in (row["src"] for row in rows) if kind_of(end) in ON_THE_WAY} - seen
        seen |= frontier
    versions = sorted(one for one in seen if kind_of(one) == "version")
    return versions[:most], len(versions) > most or bool(frontier)


async def ranges(reader: Reader, nodes: Sequence[str]) -> list[dict[str, Any]]:
    """Per version its first and last batch by that moment; of those that never answered nothing."""
    each = Each((("dst", "="),), tuple((node,) for node in nodes))
    found: dict[str, dict[str, Any]] = {}
    for name, order in (("first", ("valid_at", "event_id")), ("last", ("-valid_at", "-event_id"))):
        query = Query("edges", (*_BATCHES, *reader.moment.facts), order, 1, each=each)
        for row in await reader.store.find(query) if nodes else []:
            end = {"batch": row["event_id"], "time": row["valid_at"], "recorded": row["known_at"]}
            found.setdefault(row["dst"], {})[name] = end
    return [{"kind": node.partition("/")[0], "id": node.partition("/")[2], **ends} for node, ends in found.items()]


async def batches(
    store: Store, reader: Reader, nodes: Sequence[str], start: datetime | None, cursor: str | None, limit: int
) -> dict[str, Any]:
    """A page of the batches in which these versions answered, in the order in which they happened."""
    order = ("valid_at", "event_id")
    queries = [Query("edges", (*equal(dst=node), *_BATCHES, *reader.moment.facts), order, PAGE) for node in nodes]
    ids, following = await event_page(store, queries, start, cursor, limit)
    where = (Where("event_id", "in", ids),)
    rows = await store.find(Query("ledger", where, limit=limit, columns=EVENT_COLUMNS)) if ids else []
    items = [_batch(row) for row in sorted(rows, key=lambda row: (row["time"], row["event_id"]))]
    return {"items": items, "next": following}


def _batch(row: Row) -> dict[str, Any]:
    """A batch: whose it is, when its predictions happened, and how their ids run (unless clients gave their own)."""
    data, name = data_of(row), row["event_id"]
    own = data["client_ids"]
    return {
        "batch": name,
        "deployment": data["deployment"],
        "model": data["model"],
        "version": data["version"],
        "predictions": data["rows"],
        "from": data["start"],
        "to": data["end"],
        "first_id": None if own else prediction_id(name, 0),
        "last_id": None if own else prediction_id(name, data["rows"] - 1),
        "time": row["time"],
        "recorded": row["recorded"],
    }
