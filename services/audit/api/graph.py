"""Walks of the lineage graph: up to what a thing came from, down to what came from it."""

from asyncio import gather
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from services.audit.api.answers import edge_answer
from services.audit.api.reader import Moment, Reader
from services.audit.projection.lineage.edges import (
    ATTRIBUTED,
)
from shared.events.catalog import CONTROL_TOPICS
from shared.log.store import Store
from shared.log.tables import Query, Row, Where
from shared.runtime.problems import Problem, not_found
from shared.runtime.settings import Settings

Direction = Literal["up", "down", "both"]
_KINDS = """actor alert alert-route approval batch breach bulk canary checkpoint dataset decision deployment description
drift evidence exception experiment fallback flag flag-limits gate goal joined key kpi labels ledger-part lineage-report
loss model outcome pipeline policy prediction proposal reaction reactions report resources retention review rule run
sample stage subject tag verification version webhook window"""
KINDS = tuple(_KINDS.split())


@dataclass(slots=True)
class Walk:
    """Nodes in the order found and the edges between them."""

    reader: Reader
    max_nodes: int
    nodes: dict[str, None] = field(default_factory=dict[str, None])
    edges: dict[tuple[str, str, str, str], Row] = field(default_factory=dict[tuple[str, str, str, str], Row])
    truncated: bool = False

    def add(self, rows: Collection[Row], end: Callable[[Row], str]) -> set[str]:
        """Take in edges and the nodes at their far end; answers the nodes that are new."""
        new: set[str] = set()
        for row in rows:
            node = end(row)
            if node not in self.nodes:
                if len(self.nodes) >= self.max_nodes:
                    self.truncated = True
                    continue
                self.nodes[node] = None
                new.add(node)
            self.edges[row["src"], row["relation"], row["role"], row["dst"]] = row
        return new

    async def up(self, start: Collection[str], depth: int) -> None:
        """Follow edges from what came later to what it came from."""
        frontier = set(start)
        for _ in range(depth):
            if not frontier:
                return
            frontier = self.add(await self.reader.edges_from(frontier), lambda row: row["dst"])

    async def down(self, start: Collection[str], depth: int) -> None:
        """Follow edges backwards; what there may be millions of comes last, so that it never hides the rest."""
        frontier = set(start)
        for _ in range(depth):
            if not frontier:
                return
            new = self.add(await self.reader.edges_to(frontier), lambda row: row["src"])
            new |= self.add(await self.reader.edges_to(frontier, bulk=True), lambda row: row["src"])
            new |= self.add(await stated_by(self.reader, frontier), lambda row: row["src"])
            frontier = new

    async def support(self, version: str, policies: Collection[Row], experiments: Collection[str] = ()) -> None:
        """What let a version through, what its goal is measured by, which of these experiments it took part in, and
        where the outcomes found came from: said later about what the walk up has met, so that it meets none of it.
        `policies`: edges from gates to policies."""
        goals = [node for node in self.nodes if node.startswith("goal/")]
        joined = [node for node in self.nodes if node.startswith("joined/")]
        reader = self.reader
        approvals, evidence, gates, trials, kpis, outcomes = await gather(
            reader.edges_to([version], source="approval/"),
            reader.edges_to([version], source="evidence/"),
            reader.edges_to([version], source="gate/"),
            reader.edges_to([version], source="experiment/"),
            reader.edges_to(goals, source="kpi/"),
            reader.edges_from(joined),
        )
        taken = [row for row in trials if row["src"] in experiments]
        self.add([*approvals, *evidence, *gates, *taken, *kpis], lambda row: row["src"])
        self.add([row for row in policies if row["src"] in self.nodes], lambda row: row["dst"])
        self.add([row for row in outcomes if row["role"] == "outcome"], lambda row: row["dst"])

    async def answer(self) -> dict[str, Any]:
        """The walk as JSON: nodes with attributes, edges with validity, and whether a limit cut it short."""
        nodes = await self.reader.about(list(self.nodes))
        return {
            "nodes": list(nodes.values()),
            "edges": [edge_answer(row) for row in self.edges.values()],
            "truncated": self.truncated or self.reader.truncated,
        }


async def walk(
    reader: Reader,
    start: Collection[str],
    depth: int,
    direction: Direction,
    max_nodes: int,
    given: Collection[Row] = (),
) -> Walk:
    """Walk from `start`; `given`: edges between the start nodes that no table holds."""
    found = Walk(reader, max_nodes, dict.fromkeys(start))
    found.add(given, lambda row: row["dst"])
    if direction in ("up", "both"):
        await found.up(start, depth)
    if direction in ("down", "both"):
        await found.down(start, depth)
    return found


async def stated_by(reader: Reader, nodes: Collection[str]) -> list[Row]:
    """For actors among the nodes: an edge from everything that they stated. No table holds these edges, since every
    event would have one."""
    actors = [node.removeprefix("actor/") for node in nodes if node.startswith("actor/")]
    if not actors:
        return []
    where = (Where("actor", "in", actors), Where("topic", "in", list(CONTROL_TOPICS)), *reader.moment.events)
    columns = ("event_id", "node", "actor", "time", "recorded")
    rows = await reader.store.find(Query("ledger", where, ("-time",), limit=reader.limit, columns=columns))
    reader.truncated = reader.truncated or len(rows) == reader.limit
    return [link(row["node"], ATTRIBUTED, f"actor/{row['actor']}", "stated", row) for row in reversed(rows)]


def link(src: str, relation: str, dst: str, role: str, row: Row) -> Row:
    """An edge that follows from a ledger row."""
    return {
        "src": src,
        "relation": relation,
        "dst": dst,
        "role": role,
        "detail": None,
        "valid_at": row["time"],
        "known_at": row["recorded"],
        "event_id": row["event_id"],
    }


async def must_exist(store: Store, settings: Settings, kind: str, name: str, moment: Moment) -> None:
    """Raise 404 where nothing is said about the node, by that time and to that knowledge, and no edge touches it."""
    if kind not in KINDS:
        raise Problem(404, "unknown-kind", f"There is no kind '{kind}'.", f"Use one of {', '.join(KINDS)}.")
    node = f"{kind}/{name}"
    questions = [
        Query("ledger", (Where("node", "=", node), *moment.events), limit=1, columns=("event_id",)),
        Query("edges", (Where("dst", "=", node), *moment.facts), limit=1, columns=("event_id",)),
        Query("edges", (Where("src", "=", node), *moment.facts), limit=1, columns=("event_id",)),
    ]
    if kind == "actor":
        who = (Where("actor", "=", name), *moment.events)
        questions.insert(0, Query("ledger", who, limit=1, columns=("event_id",)))
    for question in questions:
        if await store.find(question):
            return
    rows = await store.find(
        Query(
            "ledger", (Where("node", "prefix", f"{kind}/"), *moment.events), limit=settings.max_page, columns=("node",)
        )
    )
    not_found(kind, name, sorted({row["node"].partition("/")[2] for row in rows}))
