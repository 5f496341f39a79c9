"""What edges of the lineage graph are made of.

Nodes are named `KIND/ID`. Relations are PROV's (W3C PROV-DM); an edge leads from what came later to what it came from.
An edge's `role` says what PROV has no word for: champion, training_data, goal, …
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shared.events.envelope import Event, Payload

DERIVED = "wasDerivedFrom"
GENERATED = "wasGeneratedBy"
USED = "used"
ATTRIBUTED = "wasAttributedTo"
ASSOCIATED = "wasAssociatedWith"
INFLUENCED = "wasInfluencedBy"
SPECIAL = "specializationOf"
ALTERNATE = "alternateOf"
MEMBER = "hadMember"

TRAFFIC = "traffic"
DEFINITION = "definition"
BULK_KINDS = frozenset({"batch", "joined", "outcome", "window"})


class Edge(NamedTuple):
    """One edge as an event states it. `scope`: see `asof`; `present` False: said to have ended."""

    src: str
    relation: str
    dst: str
    role: str = ""
    scope: str = ""
    present: bool = True
    detail: dict[str, Any] | None = None


Said = tuple[str, list[Edge]]
"""The node that an event is about, and the edges that it states."""

Says = Mapping[type[Payload], Callable[[Event, Any], Said]]
"""Event type → what an event of it says."""

Parts = dict[tuple[str, str], dict[str, Any] | None]
"""(role, node) → details, of everything that a scope holds."""


def version_node(model: str, version: int) -> str:
    return f"version/{model}@{version}"


def kind_of(node: str) -> str:
    return node.partition("/")[0]


def of_version(node: str, data: Any) -> list[Edge]:
    """Everything measured or said about a deployed version hangs on the deployment and on the version."""
    return [
        Edge(node, GENERATED, f"deployment/{data.deployment}", "deployment"),
        Edge(node, DERIVED, version_node(data.model, data.version), "version"),
    ]


def moved(node: str, relation: str, scope: str, before: Parts, after: Parts) -> list[Edge]:
    """The edges of a scope that is said anew: those that hold now, and those that have ended."""
    edges = [Edge(node, relation, dst, role, scope, True, detail) for (role, dst), detail in after.items()]
    return edges + [Edge(node, relation, dst, role, scope, False) for role, dst in before if (role, dst) not in after]


def set_for_deployment(kind: str) -> Callable[[Event, Any], Said]:
    """What is set for a deployment as a whole: a node of its own beside it."""

    def said_of(event: Event, data: Any) -> Said:
        node = f"{kind}/{data.deployment}"
        return node, [Edge(node, INFLUENCED, f"deployment/{data.deployment}", "deployment")]

    return said_of
