"""The entry of the model inventory, and what the model is for."""

from services.audit.reports.document import Block, Row, Section, Statement, Table, gap
from services.audit.reports.facts import Facts, ids, traffic_after
from services.audit.reports.sections.common import Pair, formula, pairs, say, versions_named
from services.audit.reports.words import date, listed, minute, number


def inventory(facts: Facts) -> Section:
    """SR 11-7 VI lists what an inventory holds; SR 26-2 keeps the inventory under governance and controls."""
    source = "SR 26-2, governance and controls (model inventory) · SR 11-7 VI, model inventory"
    return Section("inventory", "Inventory", source, (pairs("", _entry(facts)), _deployments(facts)))


def _entry(facts: Facts) -> list[Pair]:
    model = facts.registered
    data = model.data if model else {}
    first = min((fact.time for fact in facts.of("Deployed")), default=None)
    aliases = {fact.data["alias"]: fact for fact in facts.of("AliasMoved")}
    named = [f"{alias} → {fact.data['after']}" for alias, fact in aliases.items() if fact.data["after"] is not None]
    versions = facts.versions
    return [
        ("Model", facts.model, [model]),
        ("Owner", data.get("owner"), [model]),
        ("Registered", f"{date(model.time)} by {model.actor}" if model else None, [model]),
        ("Risk tier", data.get("risk_tier"), [model]),
        ("Technique", data.get("technique"), [model]),
        ("Description", data.get("description"), [model]),
        ("Serves the goal", data.get("goal"), [model, facts.goal]),
        ("Versions", listed(str(fact.data["version"]) for fact in versions), versions),
        ("Aliases", listed(named) or "none", aliases.values()),
        ("Status", _status(facts), [fact for fact, _ in facts.live.values()]),
        ("First deployed", date(first) if first else "never", facts.of("Deployed")[:1]),
    ]


def _status(facts: Facts) -> str:
    if not facts.deployments:
        return "never deployed"
    if not facts.live:
        return "no longer in use: every deployment is retired"
    return f"in use: {versions_named(facts.champions)} answer{'s' if len(facts.champions) == 1 else ''}"


def _deployments(facts: Facts) -> Block:
    if not facts.deployments:
        return gap("a deployment of this model.")
    rows: list[Row] = []
    for name, said in facts.deployments.items():
        first, last, traffic = said[0], said[-1], traffic_after(said[-1])
        retired = last.type == "Retired"
        others = [f"{one['version']} ({number(one['percent'])} %)" for one in traffic["challengers"]]
        shadows = [f"{version} (shadow)" for version in traffic["shadows"]]
        state = f"retired {date(last.time)}" if retired else f"version {traffic['champion']} since {minute(last.time)}"
        cells = (name, str(first.data.get("environment", "")), state, "" if retired else listed(others + shadows))
        rows.append(Row((*cells[:3], cells[3] or "none", last.actor), ids((first, last))))
    columns = ("Deployment", "Environment", "Champion (UTC)", "Challengers, shadows", "By")
    return Table("Deployments", columns, tuple(rows), wide=(1.5, 1.1, 1.7, 1.5, 1.1))


def purpose(facts: Facts) -> Section:
    source = (
        "SR 26-2, model development and model use · SR 11-7 IV and VI (purpose, intended and actual use, restrictions)"
    )
    return Section("purpose", "Purpose and use", source, (*_goal(facts), *_kpis(facts), *restrictions(facts)))


def _goal(facts: Facts) -> list[Block]:
    goal = facts.goal
    if goal is None:
        return [
            gap("the business question that this model answers; it serves no stated goal.", ids([facts.registered]))
        ]
    found: list[Block] = [say(f"The business question, stated by {goal.data['owner']}: {goal.data['question']}", goal)]
    if goal.data.get("decision"):
        found.append(say(f"The decision that rests on the answer: {goal.data['decision']}", goal))
    else:
        found.append(gap("the decision that rests on the answer.", ids([goal])))
    if goal.data.get("description"):
        found.append(say(goal.data["description"], goal))
    return found


def _kpis(facts: Facts) -> list[Block]:
    if not facts.kpis:
        return [gap("a key performance indicator of the goal.", ids([facts.goal]))]
    rows = [
        Row(
            (
                fact.data["kpi"],
                fact.data["unit"],
                f"{'lower' if fact.data['direction'] == 'lower' else 'higher'} is better",
                "no target" if fact.data["target"] is None else number(fact.data["target"]),
                formula(fact.data),
                fact.data["description"] or "–",
            ),
            ids([fact]),
        )
        for fact in facts.kpis
    ]
    columns = ("KPI", "Unit", "Direction", "Target", "Formula", "Meaning")
    return [Table("Key performance indicators", columns, tuple(rows), wide=(1.1, 0.5, 0.8, 0.6, 1.6, 2.0))]


def restrictions(facts: Facts) -> list[Statement]:
    """Conditions that approvers set, of every version."""
    found = [
        say(f"Condition on the use of version {fact.data['version']}, set by {fact.actor}: {condition}", fact)
        for fact in facts.of("ApprovalGranted")
        for condition in fact.data["conditions"]
    ]
    return found or [gap("restrictions on use; no approval sets a condition.", ids(facts.of("ApprovalGranted")))]
