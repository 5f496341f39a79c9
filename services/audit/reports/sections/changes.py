"""The model's life: who put what into use, who took it out, and why."""

from collections.abc import Mapping
from typing import Any

from services.audit.reports.document import Block, Row, Section, Table, gap
from services.audit.reports.facts import DEPLOYING, Fact, Facts, ids
from services.audit.reports.words import minute, number

_WHAT = {
    "Deployed": "deployed",
    "TrafficChanged": "traffic changed",
    "Promoted": "promoted",
    "RolledBack": "rolled back",
    "Retired": "retired",
    "AliasMoved": "alias moved",
}


def changes_of_use(facts: Facts) -> Section:
    source = "SR 26-2, governance and controls (change management) · SR 11-7 IV and VI (change control, implementation)"
    return Section("changes", "Changes in use", source, (table(facts),))


def table(facts: Facts) -> Block:
    found = sorted(facts.of(*DEPLOYING, "AliasMoved"), key=lambda fact: (fact.time, fact.word))
    if not found:
        return gap("a deployment or any other change in use.", ids([facts.registered]))
    rows = [
        Row(
            (
                minute(fact.time),
                _WHAT[fact.type],
                _what(fact),
                fact.actor,
                fact.data.get("reason") or "–",
                minute(fact.recorded),
            ),
            ids([fact]),
        )
        for fact in found
    ]
    columns = ("When (UTC)", "Change", "What", "By", "Reason", "Recorded (UTC)")
    return Table("Changes in use", columns, tuple(rows), wide=(1.1, 0.9, 2.0, 0.9, 1.5, 1.1))


def _what(fact: Fact) -> str:
    data = fact.data
    if fact.type == "AliasMoved":
        return f"{data['alias']}: {data['before'] or 'none'} → {data['after'] or 'none'}"
    if fact.type == "Deployed":
        return f"{data['deployment']}: {traffic(data['traffic'])}"
    if fact.type == "Retired":
        return f"{data['deployment']}: {traffic(data['before'])} → none"
    return f"{data['deployment']}: {traffic(data['before'])} → {traffic(data['after'])}"


def traffic(told: Mapping[str, Any]) -> str:
    """`version 1, 20 % to 2, shadow 3`."""
    shares = [f"{number(one['percent'])} % to {one['version']}" for one in told["challengers"]]
    shadows = [f"shadow {version}" for version in told["shadows"]]
    return ", ".join([f"version {told['champion']}", *shares, *shadows])
