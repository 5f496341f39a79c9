"""Reads of the ledger and the graph as of one moment: nodes with what is said about them, and the edges that hold."""

from asyncio import gather
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.audit.moment import Moment
from services.audit.projection import BACKDATED
from services.audit.projection.asof import holding, word
from services.audit.projection.kinds import ALWAYS_SCOPED, OPEN_SCOPES, RESTATED, SCOPES
from services.audit.projection.lineage.edges import (
    BULK_KINDS,
    TRAFFIC,
    kind_of,
)
from shared.log.store import Store
from shared.log.tables import Comparison, Each, Query, Row, Where, equal

__all__ = ["EVENT_COLUMNS", "Moment", "Reader", "data_of", "described", "edge_answer"]

_HIDDEN = frozenset({"before", "reference"})
EVENT_COLUMNS = ("event_id", "type", "node", "subject", "sequence", "actor", "time", "recorded", "entry")
_STATED_COLUMNS = tuple(column for column in EVENT_COLUMNS if column != "entry")
_OF_ONE_SOURCE = 200
"""Edges from one source to one thing that are read at a time; it takes more only where a source said it so often."""
_NAME = ("dst", "bulk", "src", "scope", "role")
"""The columns that name an edge within its scope."""

Scope = tuple[str, str]
"""(source, scope) of edges that are said anew all together."""


@dataclass(slots=True)
class Reader:
    """Questions to the store as of one moment. `limit`: rows that one question may read; `truncated` tells when one
    met it. No question reads what was said before the newest word that counts, nor what was recorded as it happened
    after the time asked about, so the length of a history costs the depth of an index; only backdated words about later
    times are passed over one by one."""

    store: Store
    moment: Moment
    limit: int
    truncated: bool = field(default=False)

    def at(self, at: datetime) -> "Reader":
        """The same knowledge about another time."""
        return replace(self, moment=Moment(at, self.moment.known_at), truncated=False)

    async def events_about(self, nodes: Collection[str]) -> dict[str, list[Row]]:
        """Every ledger row about each node, in the order in which they were said."""
        if not nodes:
            return {}
        where = (Where("node", "in", sorted(nodes)), *self.moment.events)
        return _by_node(await self._find(Query("ledger", where, ("-recorded",), columns=EVENT_COLUMNS)))

    async def newest_of(self, named: Collection[tuple[str, str]]) -> dict[str, list[Row]]:
        """The newest ledger row of each (node, type), by node, in the order in which they were said."""
        each = self._either(("node", "type"), sorted(named), "recorded")
        where = (*self.moment.events, Where("sequence", ">=", 0))
        query = Query("ledger", where, ("-recorded", "-sequence"), 1, columns=EVENT_COLUMNS, each=each)
        rows = sorted(await self._each(query), key=_said)
        return _by_node({(row["node"], row["type"]): row for row in rows}.values())

    async def _oldest_of(self, named: Collection[tuple[str, str]]) -> dict[str, Row]:
        """The row (without its entry) that was said first about each node, of these types."""
        each = self._either(("node", "type"), sorted(named), "recorded")
        where = (*self.moment.events, Where("sequence", ">=", 0))
        query = Query("ledger", where, ("recorded", "sequence"), 1, columns=_STATED_COLUMNS, each=each)
        return {node: rows[0] for node, rows in _by_node(await self._each(query)).items()}

    async def newest_about(self, nodes: Collection[str]) -> tuple[dict[str, list[Row]], dict[str, Row]]:
        """The ledger rows that tell what each node is: the newest of each type, in the order in which they were said;
        and the row that was said first."""
        often = [(node, type_name) for node in nodes for type_name in RESTATED.get(kind_of(node), ())]
        seldom = [node for node in nodes if kind_of(node) not in RESTATED]
        newest, oldest, whole = await gather(self.newest_of(often), self._oldest_of(often), self.events_about(seldom))
        return newest | whole, oldest | {node: rows[0] for node, rows in whole.items()}

    async def about(self, nodes: Collection[str]) -> dict[str, dict[str, Any]]:
        """Each node as an answer shows it; one that no event is about (yet) has no attributes."""
        events, first = await self.newest_about(nodes)
        return {node: described(node, events.get(node, []), first.get(node)) for node in nodes}

    async def edges_from(self, nodes: Collection[str]) -> list[Row]:
        """The edges that hold and start at one of these nodes."""
        if not nodes:
            return []
        scoped = [node for node in nodes if kind_of(node) in SCOPES]
        others = [node for node in nodes if kind_of(node) not in ALWAYS_SCOPED]
        rows, words = await gather(self._from(others), self._newest_words(scoped))
        once = (row for row in rows if not row["scope"] or kind_of(row["src"]) not in SCOPES)
        return self._holding([*once, *words])

    async def said_of(self, nodes: Collection[str], scope: str) -> list[Row]:
        """The edges that hold of this one scope of each of these nodes."""
        return self._holding(await self._words([(node, scope) for node in sorted(nodes)]))

    async def edges_to(self, nodes: Collection[str], bulk: bool = False, source: str = "") -> list[Row]:
        """The edges that hold and end at one of these nodes; `bulk`: those of batches and windows, the newest first
        where there are too many, else the others, in the order of their sources. `source`: how sources begin."""
        if not nodes:
            return []
        if bulk:
            return self._holding(await self._bulk_to(sorted(nodes)))
        rows = await self._to(sorted(nodes), source)
        scoped = {row["src"] for row in rows if row["scope"]}
        words = await self._newest_words(scoped) if scoped else []
        held = self._holding([*(row for row in rows if not row["scope"]), *words])
        return [row for row in held if row["dst"] in nodes]

    async def traffic(self, deployments: Collection[str]) -> list[Row]:
        """Who takes part in the traffic of these deployment nodes."""
        return await self.said_of(deployments, TRAFFIC)

    async def beginnings(self, edges: Sequence[Row]) -> list[Row]:
        """For each of these scoped edges that hold the row with which it began: the first that said so since the last
        that said that it had ended."""
        named = [_edge(row) for row in edges]
        ends = {_edge(row): row for row in await self._ends(named)}
        terms: tuple[tuple[str, Comparison], ...] = tuple((name, "=") for name in _NAME)
        since = tuple((*name, *_after(ends.get(name))) for name in named)
        present = ((("present", "="), ("late", "=")), ((True, False), (True, True)))
        begun = Each((*terms, ("known_at", ">="), ("sequence", ">")), since, present)
        where = (Where("valid_at", "<=", self.moment.at),)  # and none is newer than the edge itself
        rows = await self._each(Query("edges", where, ("known_at", "sequence"), 1, each=begun))
        found = {_edge(row): row for row in sorted(rows, key=word, reverse=True)}
        return [found.get(_edge(row), row) for row in edges]

    async def ended(self, scope: str, edges: Sequence[tuple[str, str, str]]) -> list[Row]:
        """For each (source, role, destination) of this scope the row that said last that it had ended, if any did."""
        return await self._ends([(dst, kind_of(src) in BULK_KINDS, src, scope, role) for src, role, dst in edges])

    async def _ends(self, named: Sequence[tuple[Any, ...]]) -> list[Row]:
        """Of each of these edges the row that said last that it had ended."""
        each = self._either((*_NAME, "present"), [(*name, False) for name in named], "known_at")
        where = (*self.moment.facts, Where("sequence", ">=", 0))
        rows = await self._each(Query("edges", where, ("-known_at", "-sequence"), 1, each=each))
        return list({_edge(row): row for row in sorted(rows, key=word)}.values())

    async def _newest_words(self, nodes: Collection[str]) -> list[Row]:
        """What is said now in every scope of these nodes."""
        scopes = [(node, scope) for node in sorted(nodes) for scope in SCOPES.get(kind_of(node), ())]
        known = set(scopes)
        last = [(node, OPEN_SCOPES[kind_of(node)]) for node in sorted(nodes) if kind_of(node) in OPEN_SCOPES]
        while last:
            each = Each((("src", "="), ("scope", ">")), tuple(last))
            order = ("scope", "number", "late", "known_at", "sequence")  # that of the index, so that one step is enough
            rows = await self._each(Query("edges", (), order, 1, columns=("src", "scope"), each=each))
            last = [
                (row["src"], row["scope"]) for row in rows if row["scope"].startswith(OPEN_SCOPES[kind_of(row["src"])])
            ]
            scopes += [scope for scope in last if scope not in known]
        return await self._words(scopes)

    async def _words(self, scopes: Sequence[Scope]) -> list[Row]:
        """The edges that the newest word of each scope states, present or ended."""
        each = self._either(("src", "scope", "number"), [(*scope, 0) for scope in scopes], "known_at")
        where = (*self.moment.facts, Where("sequence", ">=", 0))
        order = ("-known_at", "-sequence", "-event_id")
        columns = ("src", "scope", "event_id", "known_at", "sequence")
        rows = await self._each(Query("edges", where, order, 1, columns=columns, each=each))
        newest = {(row["src"], row["scope"]): row for row in sorted(rows, key=word)}
        said = {(*scope, row["event_id"]) for scope, row in newest.items()}
        if not said:
            return []
        ids = sorted({event_id for _, _, event_id in said})
        edges = await self._find(Query("edges", (Where("event_id", "in", ids),)))
        return [row for row in edges if (row["src"], row["scope"], row["event_id"]) in said]

    async def _from(self, nodes: Sequence[str], *where: Where) -> list[Row]:
        if not nodes:
            return []
        sources = (Where("src", "in", sorted(nodes)), *where, *self.moment.facts)
        return await self._find(Query("edges", sources, ("-known_at", "-sequence")))

    async def _bulk_to(self, nodes: Sequence[str]) -> list[Row]:
        where = (*equal(bulk=True), *self.moment.facts)
        each = Each((("dst", "="),), tuple((node,) for node in nodes))
        rows = await self.store.find(Query("edges", where, ("-valid_at",), self.limit + 1, each=each))
        return self._within(rows)

    async def _to(self, nodes: Sequence[str], source: str) -> list[Row]:
        """The first rows of every edge to these nodes, source by source; what one source said very often is skipped."""
        where = (*equal(bulk=False), *self.moment.facts, *((Where("src", "prefix", source),) if source else ()))
        order = ("src", "scope", "role", "present", "known_at")
        groups, found = [(node, "") for node in nodes], list[Row]()
        while groups and len(found) <= self.limit:
            each = Each((("dst", "="), ("src", ">")), tuple(groups))
            rows = await self._each(Query("edges", where, order, _OF_ONE_SOURCE, each=each))
            found += rows
            counts = Counter(row["dst"] for row in rows)
            ends = {row["dst"]: row["src"] for row in rows}
            groups = [(node, ends[node]) for node, count in counts.items() if count == _OF_ONE_SOURCE]
        return self._within(found)

    def _either(self, names: Sequence[str], groups: Sequence[tuple[Any, ...]], recorded: str) -> Each:
        """These groups twice: among what was recorded as it happened, which ends shortly after the time asked about,
        and among what was recorded late. The newest of each pair is to be taken."""
        soon = min(self.moment.known_at, _later(self.moment.at, BACKDATED))
        ends = ((False, soon), (True, self.moment.known_at))
        terms: tuple[tuple[str, Comparison], ...] = tuple((name, "=") for name in names)
        return Each(terms, tuple(groups), ((("late", "="), (recorded, "<=")), ends))

    def _holding(self, rows: Iterable[Row]) -> list[Row]:
        return holding(rows, self.moment.at, self.moment.known_at)

    async def _each(self, query: Query) -> list[Row]:
        """The rows of a query that bounds them group by group."""
        return await self.store.find(query) if query.each and query.each.groups else []

    async def _find(self, query: Query) -> list[Row]:
        return self._within(await self.store.find(replace(query, limit=self.limit + 1)))

    def _within(self, rows: list[Row]) -> list[Row]:
        self.truncated = self.truncated or len(rows) > self.limit
        return rows[: self.limit]


def _later(moment: datetime, by: timedelta) -> datetime:
    return moment + by if moment < datetime.max.replace(tzinfo=UTC) - by else moment


def _said(row: Row) -> tuple[datetime, int, str]:
    """The order of events as they were said."""
    return row["recorded"], row["sequence"], row["event_id"]


def _by_node(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=_said):
        found.setdefault(row["node"], []).append(row)
    return found


def _edge(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _NAME)


def _after(end: Row | None) -> tuple[datetime, int]:
    """From when on, and behind which place in its stream, an edge may have begun: after its end, or ever."""
    return (end["known_at"], end["sequence"]) if end else (datetime.min.replace(tzinfo=UTC), -1)


def data_of(row: Row) -> dict[str, Any]:
    """The data of a ledger row's event."""
    return orjson.loads(row["entry"])["data"]


def described(node: str, events: Sequence[Row], first: Row | None) -> dict[str, Any]:
    """A node: its attributes as the events about it state them, later ones over earlier ones, and who stated it first.
    `events`: the first, and the newest of each type; the timeline has all."""
    kind, _, name = node.partition("/")
    attributes: dict[str, Any] = {}
    for row in events:
        attributes |= {key: value for key, value in data_of(row).items() if key not in _HIDDEN}
    stated = [first["event_id"]] if first else []
    return {
        "kind": kind,
        "id": name,
        "attributes": attributes,
        "stated_by": first["actor"] if first else None,
        "time": first["time"] if first else None,
        "recorded": first["recorded"] if first else None,
        "events": list(dict.fromkeys([*stated, *(row["event_id"] for row in events)])),
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
