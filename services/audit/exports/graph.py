"""The lineage graph of the facts about a model: nodes with what is said about them, and the edges that hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.audit.projection.asof import holding
from services.audit.projection.lineage import said
from services.audit.projection.lineage.edges import (
    ALTERNATE,
)
from services.audit.reports.facts import Fact, Facts
from shared.events.catalog import TYPES
from shared.events.envelope import Event
from shared.log.tables import Row

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """`nodes`: name → facts about it in the order in which they were said, empty where it is only referred to.
    `edges`: as the table of edges holds them, those that hold at the facts' moment."""

    nodes: Mapping[str, Sequence[Fact]]
    edges: Sequence[Row]


def graph(facts: Facts) -> Graph:
    """The graph as of the facts' moment. A run that is named with and without its pipeline is one node."""
    nodes: dict[str, list[Fact]] = {}
    rows: list[Row] = []
    for fact in facts.facts:
        if fact.type not in TYPES:
            continue
        node, edges = said(_event(fact))
        nodes.setdefault(node, []).append(fact)
        rows += [_row(fact, number, edge) for number, edge in enumerate(edges)]
    held = holding(rows, facts.at, facts.known_at)
    same = {row["src"]: row["dst"] for row in held if row["relation"] == ALTERNATE}
    edges = [_renamed(row, same) for row in held if row["relation"] != ALTERNATE]
    for row in edges:
        nodes.setdefault(row["src"], [])
        nodes.setdefault(row["dst"], [])
    return Graph(dict(sorted(nodes.items())), edges)


def attributes(facts: Sequence[Fact]) -> Attributes:
    """What the facts about a node say of it, later ones over earlier ones."""
    found: Attributes = {}
    for fact in facts:
        found |= fact.data
    return found


def _event(fact: Fact) -> Event:
    cls = TYPES[fact.type]
    data = cls.model_validate(dict(fact.data), strict=False)
    return Event(fact.id, "", fact.subject, fact.time, fact.sequence, fact.actor, data, recorded=fact.recorded)


def _row(fact: Fact, number: int, edge: Any) -> Row:
    return {
        "event_id": fact.id,
        "number": number,
        "src": edge.src,
        "relation": edge.relation,
        "role": edge.role,
        "dst": edge.dst,
        "scope": edge.scope,
        "present": edge.present,
        "detail": edge.detail,
        "valid_at": fact.time,
        "known_at": fact.recorded,
        "sequence": fact.sequence,
    }


def _renamed(row: Row, same: Mapping[str, str]) -> Row:
    return {**row, "src": same.get(row["src"], row["src"]), "dst": same.get(row["dst"], row["dst"])}
