"""Reads of the ledger and the graph as of one moment: nodes with what is said about them, and the edges that hold."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from services.audit.moment import Moment
from services.audit.projection.asof import holding
from services.audit.projection.lineage import TRAFFIC
from shared.log.store import Store
from shared.log.tables import Query, Row, Where, equal

__all__ = ["EVENT_COLUMNS", "Moment", "Reader", "data_of", "described", "edge_answer"]

_HIDDEN = frozenset({"before", "reference"})
EVENT_COLUMNS = ("event_id", "type", "node", "subject", "sequence", "actor", "time", "recorded", "entry")


@dataclass(slots=True)
class Reader:
    """Questions to the store as of one moment. `limit`: rows that one question may read; `truncated` tells when one
    met it, and then it holds what was said last."""

    store: Store
    moment: Moment
    limit: int
    truncated: bool = field(default=False)

    def at(self, at: datetime) -> "Reader":
        """The same knowledge about another time."""
        return replace(self, moment=Moment(at, self.moment.known_at), truncated=False)

    async def events_about(self, nodes: Collection[str]) -> dict[str, list[Row]]:
        """The ledger rows about each node, in the order in which they were said."""
        found: dict[str, list[Row]] = {}
        if not nodes:
            return found
        where = (Where("node", "in", sorted(nodes)), *self.moment.events)
        rows = await self._find(Query("ledger", where, ("-recorded",), columns=EVENT_COLUMNS))
        for row in sorted(rows, key=lambda row: (row["recorded"], row["sequence"], row["event_id"])):
            found.setdefault(row["node"], []).append(row)
        return found

    async def about(self, nodes: Collection[str]) -> dict[str, dict[str, Any]]:
        """Each node as an answer shows it; one that no event is about (yet) has no attributes."""
        events = await self.events_about(nodes)
        return {node: described(node, events.get(node, [])) for node in nodes}

    async def edges_from(self, nodes: Collection[str]) -> list[Row]:
        """The edges that hold and start at one of these nodes."""
        if not nodes:
            return []
        where = (Where("src", "in", sorted(nodes)), *self.moment.facts)
        return self._holding(await self._find(Query("edges", where, ("-known_at", "-sequence"))))

    async def edges_to(self, nodes: Collection[str], bulk: bool = False) -> list[Row]:
        """The edges that hold and end at one of these nodes; `bulk`: those of batches and windows, else the others."""
        if not nodes:
            return []
        where = (Where("dst", "in", sorted(nodes)), *equal(bulk=bulk), *self.moment.facts)
        rows = await self._find(Query("edges", where, ("-valid_at",) if bulk else ("-known_at", "-sequence")))
        scoped = sorted({row["src"] for row in rows if row["scope"]})
        whole = await self._scoped(scoped) if scoped else []
        held = self._holding([*(row for row in rows if not row["scope"]), *whole])
        return [row for row in held if row["dst"] in nodes]

    async def traffic(self, deployments: Collection[str]) -> list[Row]:
        """Every fact about who takes part in the traffic of these deployment nodes (for `asof`)."""
        rows = await self._scoped(sorted(deployments)) if deployments else []
        return [row for row in rows if row["scope"] == TRAFFIC]

    async def _scoped(self, sources: Sequence[str]) -> list[Row]:
        where = (Where("src", "in", sources), Where("scope", "!=", ""), *self.moment.facts)
        return await self._find(Query("edges", where, ("-known_at", "-sequence")))

    def _holding(self, rows: Iterable[Row]) -> list[Row]:
        return holding(rows, self.moment.at, self.moment.known_at)

    async def _find(self, query: Query) -> list[Row]:
        rows = await self.store.find(replace(query, limit=self.limit + 1))
        self.truncated = self.truncated or len(rows) > self.limit
        return rows[: self.limit]


def data_of(row: Row) -> dict[str, Any]:
    """The data of a ledger row's event."""
    return orjson.loads(row["entry"])["data"]


def described(node: str, events: Sequence[Row]) -> dict[str, Any]:
    """A node: its attributes as the events about it state them, later ones over earlier ones, and who stated them."""
    kind, _, name = node.partition("/")
    attributes: dict[str, Any] = {}
    for row in events:
        attributes |= {key: value for key, value in data_of(row).items() if key not in _HIDDEN}
    first = events[0] if events else None
    return {
        "kind": kind,
        "id": name,
        "attributes": attributes,
        "stated_by": first["actor"] if first else None,
        "time": first["time"] if first else None,
        "recorded": first["recorded"] if first else None,
        "events": [row["event_id"] for row in events],
    }


def edge_answer(row: Row) -> dict[str, Any]:
    """An edge as an answer shows it, with the times from which it holds and is known."""
    return {
        "src": row["src"],
        "relation": row["relation"],
        "role": row["role"],
        "dst": row["dst"],
        "detail": row["detail"],
        "valid_from": row["valid_at"],
        "known_from": row["known_at"],
        "event_id": row["event_id"],
    }
