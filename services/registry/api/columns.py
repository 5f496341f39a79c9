"""Lineage of columns, read step by step from the newest versions of data sets."""

from collections.abc import Iterable
from typing import Any, Literal

from services.registry.api.known import one
from shared.log.tables import Query, Row, Where
from shared.runtime.problems import not_found
from shared.runtime.service import Service

MAX_EDGES = 10_000
MAX_ROWS = 10_000


async def column_lineage(
    service: Service, name: str, column: str, direction: Literal["up", "down"], depth: int
) -> dict[str, Any]:
    """`{column, direction, edges: [{from, to}], complete}`: an edge leads from a source to what is made of it.

    `complete` False: there is more than MAX_EDGES, or beyond `depth`. Raises Problem 404: no such data set or column.
    """
    dataset = await one(service, "dataset", "datasets", name)
    columns = [said["name"] for said in dataset["columns"] or []]
    if column not in columns:
        not_found("column", column, columns)
    start = f"{name}.{column}"
    here, there = ("target", "source") if direction == "up" else ("source", "target")
    edges: dict[tuple[str, str], None] = {}
    seen, frontier = {start}, {start}
    for _ in range(depth):
        if not frontier or len(edges) >= MAX_EDGES:
            break
        rows = await _newest(service, Query("column_sources", (Where(here, "in", sorted(frontier)),), limit=MAX_ROWS))
        edges |= {(row["source"], row["target"]): None for row in rows}
        frontier = {row[there] for row in rows} - seen
        seen |= frontier
    told = [{"from": source, "to": target} for source, target in list(edges)[:MAX_EDGES]]
    return {"column": start, "direction": direction, "edges": told, "complete": not frontier and len(edges) < MAX_EDGES}


async def _newest(service: Service, query: Query) -> list[Row]:
    """Those rows that the newest version of their data set states."""
    rows = await service.store.find(query)
    versions = await _versions(service, {row["dataset"] for row in rows})
    return [row for row in rows if row["version"] == versions.get(row["dataset"])]


async def _versions(service: Service, names: Iterable[str]) -> dict[str, int]:
    wanted = sorted(names)
    if not wanted:
        return {}
    query = Query("datasets", (Where("name", "in", wanted),), limit=len(wanted), columns=("name", "version"))
    return {row["name"]: row["version"] for row in await service.store.find(query)}
