"""Reads of the ledger and the graph as of one moment: nodes with what is said about them, and the edges that hold."""

from asyncio import gather
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from services.audit.api.answers import described
from services.audit.api.loading import Loader
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

__all__ = ["EVENT_COLUMNS", "Moment", "Reader"]

EVENT_COLUMNS = ("event_id", "type", "node", "subject", "sequence", "actor", "time", "recorded", "entry")
_STATED_COLUMNS = tuple(column for column in EVENT_COLUMNS if column != "entry")
_OF_ONE_SOURCE = 200
"""Edges from one source to one thing that are read at a time; it takes more only where a source said it so often."""
_NAME = ("dst", "bulk", "src", "scope", "role")
"""The columns that name an edge within its scope."""
_edge = itemgetter(*_NAME)

Terms = tuple[tuple[str, Comparison], ...]
Scope = tuple[str, str]
"""(source, scope) of edges that are said anew all together."""


@dataclass
class Reader:
    """Questions to the store as of one moment. `limit`: rows that one query may read; `truncated` tells when one
    met it. No query reads what was said before the newest word that counts, nor what was recorded as it happened
    after the time asked about, so the length of a history costs the depth of an index; only backdated words about later
    times are passed over one by one. What is asked for at once is read together, and nothing twice."""

    store: Store
    moment: Moment
    limit: int
    truncated: bool = field(default=False)

    def __post_init__(self) -> None:
        self._events = Loader(self._load_events)
        self._newest = Loader(self._load_newest)
        self._oldest = Loader(self._load_oldest)
        self._words = Loader(self._load_words)
        self._scopes = Loader(self._load_scopes)
        self._sources = Loader(self._load_from)
        self._ends_at = Loader(self._load_to)
        self._bulk_at = Loader(self._load_bulk)

    def at(self, at: datetime) -> "Reader":
        """The same knowledge about another time."""
        return Reader(self.store, Moment(at, self.moment.known_at), self.limit)

    async def events_about(self, nodes: Collection[str]) -> dict[str, list[Row]]:
        """Every ledger row about each node that has any, in the order in which they were said."""
        return {node: rows for node, rows in (await self._events.of(sorted(nodes))).items() if rows}

    async def newest_of(self, named: Collection[tuple[str, str]]) -> dict[str, list[Row]]:
        """The newest ledger row of each (node, type), by node, in the order in which they were said."""
        return _by_node(row for row in (await self._newest.of(sorted(named))).values() if row)

    async def newest_about(self, nodes: Collection[str]) -> tuple[dict[str, list[Row]], dict[str, Row]]:
        """The ledger rows that tell what each node is: the newest of each type, in the order in which they were said;
        and the row that was said first."""
        often = [(node, type_name) for node in nodes for type_name in RESTATED.get(kind_of(node), ())]
        seldom = [node for node in nodes if kind_of(node) not in RESTATED]
        newest, first, whole = await gather(
            self.newest_of(often), self._oldest.of(sorted(often)), self.events_about(seldom)
        )
        oldest = {node: rows[0] for node, rows in _by_node(row for row in first.values() if row).items()}
        return newest | whole, oldest | {node: rows[0] for node, rows in whole.items()}

    async def about(self, nodes: Collection[str]) -> dict[str, dict[str, Any]]:
        """Each node as an answer shows it; one that no event is about (yet) has no attributes."""
        events, first = await self.newest_about(nodes)
        return {node: described(node, events.get(node, []), first.get(node)) for node in nodes}

    async def edges_from(self, nodes: Collection[str]) -> list[Row]:
        """The edges that hold and start at one of these nodes."""
        scoped = [node for node in nodes if kind_of(node) in SCOPES]
        others = [node for node in nodes if kind_of(node) not in ALWAYS_SCOPED]
        rows, words = await gather(self._sources.of(sorted(others)), self._newest_words(scoped))
        once = (row for row in _flat(rows) if not row["scope"] or kind_of(row["src"]) not in SCOPES)
        return self._holding([*once, *words])

    async def said_of(self, nodes: Collection[str], scope: str) -> list[Row]:
        """The edges that hold of this one scope of each of these nodes."""
        return self._holding(_flat(await self._words.of((node, scope) for node in sorted(nodes))))

    async def edges_to(self, nodes: Collection[str], bulk: bool = False, source: str = "") -> list[Row]:
        """The edges that hold and end at one of these nodes; `bulk`: those of batches and windows, the newest first
        where there are too many, else the others, in the order of their sources. `source`: how sources begin."""
        if bulk:
            return self._holding(_flat(await self._bulk_at.of(sorted(nodes))))
        rows = _flat(await self._ends_at.of((node, source) for node in sorted(nodes)))
        words = await self._newest_words({row["src"] for row in rows if row["scope"]})
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
        since = tuple((*name, *_after(ends.get(name))) for name in named)
        terms: Terms = (*((name, "=") for name in _NAME), ("known_at", ">="), ("sequence", ">"))
        said: Terms = (("present", "="), ("late", "="))
        begun = Each(terms, since, (said, ((True, False), (True, True))))
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
        last = [(node, OPEN_SCOPES[kind_of(node)]) for node in sorted(nodes) if kind_of(node) in OPEN_SCOPES]
        opened = self._scopes.of(last)
        known, words = await gather(opened, self._words.of(scopes))
        further = await self._words.of((node, scope) for (node, _), found in known.items() for scope in found)
        return _flat(words | further)

    async def _load_events(self, nodes: list[str]) -> dict[str, list[Row]]:
        where = (Where("node", "in", sorted(nodes)), *self.moment.events)
        found = _by_node(await self._find(Query("ledger", where, ("-recorded",), columns=EVENT_COLUMNS)))
        return {node: found.get(node, []) for node in nodes}

    async def _load_newest(self, named: list[tuple[str, str]]) -> dict[tuple[str, str], Row | None]:
        return await self._one_of(named, ("-recorded", "-sequence"), EVENT_COLUMNS, newest=True)

    async def _load_oldest(self, named: list[tuple[str, str]]) -> dict[tuple[str, str], Row | None]:
        """The row (without its entry) that was said first about each node, of each of these types."""
        return await self._one_of(named, ("recorded", "sequence"), _STATED_COLUMNS, newest=False)

    async def _one_of(
        self, named: list[tuple[str, str]], order: tuple[str, ...], columns: tuple[str, ...], newest: bool
    ) -> dict[tuple[str, str], Row | None]:
        each = self._either(("node", "type"), named, "recorded")
        where = (*self.moment.events, Where("sequence", ">=", 0))
        rows = sorted(await self._each(Query("ledger", where, order, 1, columns=columns, each=each)), key=_said)
        found = {(row["node"], row["type"]): row for row in (rows if newest else reversed(rows))}
        return {name: found.get(name) for name in named}

    async def _load_scopes(self, last: list[Scope]) -> dict[Scope, list[str]]:
        """The scopes of each source that begin so, by one step down the index for each."""
        terms: Terms = (("src", "="), ("scope", ">"), ("scope", "<"))
        each = Each(terms, tuple((node, start, _behind(start)) for node, start in last))
        order = ("scope", "number", "late", "known_at", "sequence")  # that of the index, so that one step is enough
        query = Query("edges", (), order, self.limit + 1, columns=("src", "scope"), each=each, apart="scope")
        rows = self._within(await self._each(query))
        return {
            (node, start): [row["scope"] for row in rows if row["src"] == node and row["scope"].startswith(start)]
            for node, start in last
        }

    async def _load_words(self, scopes: list[Scope]) -> dict[Scope, list[Row]]:
        """The edges that the newest word of each scope states, present or ended."""
        each = self._either(("src", "scope", "number"), [(*scope, 0) for scope in scopes], "known_at")
        where = (*self.moment.facts, Where("sequence", ">=", 0))
        order = ("-known_at", "-sequence", "-event_id")
        columns = ("src", "scope", "event_id", "known_at", "sequence")
        rows = await self._each(Query("edges", where, order, 1, columns=columns, each=each))
        newest = {(row["src"], row["scope"]): row for row in sorted(rows, key=word)}
        ids = sorted({row["event_id"] for row in newest.values()})
        edges = await self._find(Query("edges", (Where("event_id", "in", ids),))) if ids else []
        found: dict[Scope, list[Row]] = {scope: [] for scope in scopes}
        for row in edges:
            last = newest.get((row["src"], row["scope"]))
            if last is not None and last["event_id"] == row["event_id"]:
                found[row["src"], row["scope"]].append(row)
        return found

    async def _load_from(self, nodes: list[str]) -> dict[str, list[Row]]:
        sources = (Where("src", "in", sorted(nodes)), *self.moment.facts)
        return _grouped(nodes, "src", await self._find(Query("edges", sources, ("-known_at", "-sequence"))))

    async def _load_bulk(self, nodes: list[str]) -> dict[str, list[Row]]:
        where = (*equal(bulk=True), *self.moment.facts)
        each = Each((("dst", "="),), tuple((node,) for node in nodes))
        rows = await self.store.find(Query("edges", where, ("-valid_at",), self.limit + 1, each=each))
        return _grouped(nodes, "dst", self._within(rows))

    async def _load_to(self, asked: list[tuple[str, str]]) -> dict[tuple[str, str], list[Row]]:
        """The first rows of every edge to each of these (node, how sources begin), source by source; what one source
        said very often is skipped."""
        where = (*equal(bulk=False), *self.moment.facts)
        order = ("src", "scope", "role", "present", "known_at")
        terms: Terms = (("dst", "="), ("src", ">"), ("src", "<"))
        whole = {node for node, start in asked if not start}
        after = {(node, start): start for node, start in asked if not start or node not in whole}
        found: list[Row] = []
        while after and len(found) <= self.limit:
            groups = tuple((node, last, _behind(start)) for (node, start), last in after.items())
            rows = await self._each(Query("edges", where, order, _OF_ONE_SOURCE, each=Each(terms, groups)))
            found += rows
            taken = _sorted_out(after, rows)
            after = {one: part[-1]["src"] for one, part in taken.items() if len(part) == _OF_ONE_SOURCE}
        return _sorted_out(asked, self._within(found))

    def _either(self, names: Sequence[str], groups: Sequence[tuple[Any, ...]], recorded: str) -> Each:
        """These groups twice: among what was recorded as it happened, which ends shortly after the time asked about,
        and among what was recorded late. The newest of each pair is to be taken."""
        soon = min(self.moment.known_at, _later(self.moment.at, BACKDATED))
        terms: Terms = tuple((name, "=") for name in names)
        ends: Terms = (("late", "="), (recorded, "<="))
        return Each(terms, tuple(groups), (ends, ((False, soon), (True, self.moment.known_at))))

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


def _after(end: Row | None) -> tuple[datetime, int]:
    """From when on, and behind which place in its stream, an edge may have begun: after its end, or ever."""
    return (end["known_at"], end["sequence"]) if end else (datetime.min.replace(tzinfo=UTC), -1)


def _behind(start: str) -> str:
    """The first text behind all sources that begin so."""
    return start[:-1] + chr(ord(start[-1]) + 1) if start else "\U0010ffff"


def _sorted_out(asked: Iterable[tuple[str, str]], rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Rows by the (destination, beginning of the source) that asked for them."""
    to = _grouped((node for node, _ in asked), "dst", rows)
    return {(node, start): [row for row in to[node] if row["src"].startswith(start)] for node, start in asked}


def _grouped(names: Iterable[str], column: str, rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        found[row[column]].append(row)
    return found


def _flat(found: Mapping[Any, list[Row]]) -> list[Row]:
    return [row for rows in found.values() for row in rows]
