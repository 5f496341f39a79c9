"""What the sections share: statements from facts, tables of names and values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.audit.reports.document import GAP, Row, Statement, Table
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.words import listed, shown

Pair = tuple[str, Any, Iterable[Fact | None]]
"""Name, value (None or empty: not on record), and the facts that say so."""


def say(text: str, *facts: Fact | None) -> Statement:
    return Statement(text, ids(facts))


def pairs(title: str, rows: Iterable[Pair]) -> Table:
    """Names and values; a value that is None or empty stands out as a gap."""
    return Table(title, ("", ""), tuple(pair(*row) for row in rows), "pairs", (1.0, 2.6))


def pair(name: str, value: Any, facts: Iterable[Fact | None]) -> Row:
    if value in (None, "", [], (), {}):
        return Row((name, GAP), ids(facts), gap=True)
    return Row((name, value if isinstance(value, str) else shown(value)), ids(facts))


def versions_named(numbers: Iterable[int]) -> str:
    """`version 2`, `versions 1 and 2`."""
    known = sorted(set(numbers))
    return f"version{'s' if len(known) > 1 else ''} {listed(map(str, known))}"


def in_use(facts: Facts) -> list[int]:
    """The versions that a section speaks of: those that answer somewhere, or else the newest."""
    return facts.champions or [fact.data["version"] for fact in facts.versions[-1:]]


def independent(facts: Facts, fact: Fact) -> bool:
    """Whether somebody else than who registered the version said this."""
    version = facts.version(fact.data["version"])
    return version is not None and version.actor != fact.actor


def code_named(code: Mapping[str, Any] | None) -> str:
    if not code:
        return ""
    path = f", {code['path']}" if code.get("path") else ""
    return f"{code['repo']} at {code['commit'][:12]}{path}"


def fields(signature: Mapping[str, Any], side: str) -> Sequence[Mapping[str, Any]]:
    return signature.get(side) or []


def formula(definition: Mapping[str, Any]) -> str:
    """How a KPI is computed, in words."""
    how = definition["formula"]
    if how["kind"] == "metric":
        return f"the window's {how['metric']}"
    if how["kind"] == "formula":
        return str(how["expression"])
    unit = definition["unit"]
    names = ("true_positive", "false_positive", "false_negative", "true_negative")
    costs = [f"{shown(how[name])} {unit} for a {name.replace('_', ' ')}" for name in names if how.get(name)]
    return f"cost per case at threshold {shown(how['threshold'])}: {listed(costs) or 'no costs stated'}"
