"""The lineage of a model as W3C PROV-JSON.

Source: W3C Member Submission "The PROV-JSON Serialization" (24 April 2013), over PROV-DM. Actors are agents; runs,
deployments and verifications are activities; all else is an entity, and no node is two of them (PROV-CONSTRAINTS).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from services.audit.exports.graph import Graph, attributes, graph
from services.audit.projection.lineage.edges import (
    ALTERNATE,
    ASSOCIATED,
    ATTRIBUTED,
    DERIVED,
    GENERATED,
    INFLUENCED,
    MEMBER,
    SPECIAL,
    USED,
    kind_of,
)
from services.audit.reports.facts import Fact, Facts
from shared.events.codec import rfc3339
from shared.log.tables import Row

AGENTS, ACTIVITIES = frozenset({"actor"}), frozenset({"deployment", "run", "verification"})
_TYPES = {"pipeline": "prov:Plan", "model": "prov:Collection", "actor": "prov:Person"}
_ENDS = {
    USED: ("prov:activity", "prov:entity"),
    GENERATED: ("prov:entity", "prov:activity"),
    DERIVED: ("prov:generatedEntity", "prov:usedEntity"),
    ATTRIBUTED: ("prov:entity", "prov:agent"),
    ASSOCIATED: ("prov:activity", "prov:agent"),
    INFLUENCED: ("prov:influencee", "prov:influencer"),
    SPECIAL: ("prov:specificEntity", "prov:generalEntity"),
    ALTERNATE: ("prov:alternate1", "prov:alternate2"),
    MEMBER: ("prov:collection", "prov:entity"),
}
_BARE = frozenset({SPECIAL, ALTERNATE, MEMBER})
"""Relations that PROV-DM lets bear no attributes."""

Document = dict[str, Any]


def document(facts: Facts) -> Document:
    """PROV-JSON of all that the facts say, as of their moment."""
    found = graph(facts)
    made: Document = {
        "prefix": {
            "mun": "urn:muniment:node:",
            "ev": "urn:muniment:event:",
            "said": "urn:muniment:attribute:",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        }
    }
    for node, own in found.nodes.items():
        made.setdefault(_class(node), {})[name(node)] = _element(node, own)
    for row in found.edges:
        _relate(made, row["relation"], row["src"], row["dst"], f"{row['event_id']}.{row['number']}", row)
    _statements(made, found)
    return made


def name(node: str) -> str:
    """A node as a qualified name."""
    return f"mun:{quote(node, safe='/@.-_')}"


def _class(node: str) -> str:
    kind = kind_of(node)
    return "agent" if kind in AGENTS else "activity" if kind in ACTIVITIES else "entity"


def _element(node: str, own: Sequence[Fact]) -> Document:
    kind, _, label = node.partition("/")
    said = attributes(own)
    element: Document = {"prov:label": label, "said:kind": kind}
    if kind in _TYPES:
        element["prov:type"] = {"$": _TYPES[kind], "type": "prov:QUALIFIED_NAME"}
    if kind == "run" and said:
        times = (("prov:startTime", said["started_at"]), ("prov:endTime", said["ended_at"]))
        element |= {key: value for key, value in times if value}
    elif own:
        element["said:time"] = {"$": rfc3339(own[0].time), "type": "xsd:dateTime"}
    element |= {
        f"said:{key}": value for key, value in said.items() if isinstance(value, str | int | float) and value != ""
    }
    if own:
        element["said:event"] = [{"$": f"ev:{fact.id}", "type": "prov:QUALIFIED_NAME"} for fact in own]
    return element


def _relate(made: Document, relation: str, src: str, dst: str, key: str, row: Row) -> None:
    if relation == ASSOCIATED:
        if row["role"] == "plan":
            made.setdefault(ASSOCIATED, {})[f"_:{key}"] = {"prov:activity": name(src), "prov:plan": name(dst)}
            return
        if _class(src) != "activity":
            relation = INFLUENCED
    first, second = _ENDS[relation]
    edge: Document = {first: name(src), second: name(dst)}
    if relation not in _BARE:
        edge |= {f"said:{one}": row[one] for one in ("role", "event_id") if row.get(one)}
        detail: Mapping[str, Any] = row.get("detail") or {}
        edge |= {f"said:{one}": value for one, value in detail.items() if isinstance(value, str | int | float)}
    if relation in (USED, GENERATED) and "valid_at" in row:
        edge["prov:time"] = rfc3339(row["valid_at"])
    made.setdefault(relation, {})[f"_:{key}"] = edge


def _statements(made: Document, found: Graph) -> None:
    """Who stated what: an entity is attributed to each who said something of it, an activity associated with them."""
    for node, own in found.nodes.items():
        if _class(node) == "agent":
            continue
        relation = ASSOCIATED if _class(node) == "activity" else ATTRIBUTED
        for fact in {fact.actor: fact for fact in reversed(own)}.values():  # the first of each actor's
            agent = f"actor/{fact.actor}"
            made.setdefault("agent", {}).setdefault(name(agent), _element(agent, ()))
            _relate(made, relation, node, agent, f"{fact.id}.by", {"role": fact.type, "event_id": fact.id})
