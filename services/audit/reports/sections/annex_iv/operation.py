"""Annex IV, points 3 to 9: control, metrics, risk, changes, standards, declaration, and performance in use."""

from services.audit.reports.document import Statement, gap
from services.audit.reports.facts import Facts, ids
from services.audit.reports.sections.annex_iv.points import on_record
from services.audit.reports.sections.common import fields, in_use, say
from services.audit.reports.sections.monitoring import main_metric
from services.audit.reports.words import count, listed, number


def control(facts: Facts) -> list[Statement]:
    metric, windows = main_metric(facts.windows), facts.windows
    values = [fact.data["quality"][metric] for fact in windows if metric in fact.data["quality"]] if metric else []
    found = [
        on_record(
            "3 accuracy in use",
            values
            and f"{metric} between {number(min(values))} and {number(max(values))} over "
            f"{count(len(values), 'window')}; see Monitoring.",
            windows,
        ),
        *_groups(facts),
        gap("[3] foreseeable unintended outcomes and sources of risks to health, safety and fundamental rights."),
    ]
    for version in filter(None, map(facts.version, in_use(facts))):
        names = listed(one["name"] for one in fields(version.data["signature"], "inputs"))
        found.append(on_record(f"3 input data of version {version.data['version']}", names, [version]))
    return found


def _groups(facts: Facts) -> list[Statement]:
    """What is declared to be watched of groups of persons; their figures stand in the monitor's own views."""
    versions = [fact for fact in map(facts.version, in_use(facts)) if fact and fact.data.get("protected")]
    found = [
        say(
            f"[3] Version {fact.data['version']} is watched by "
            f"{listed(one['name'] for one in fact.data['protected'])}, so that no group is treated worse.",
            fact,
        )
        for fact in versions
    ]
    return found or [gap("[3] accuracy for specific persons or groups of persons.")]


def metrics(facts: Facts) -> list[Statement]:
    if not facts.kpis:
        return [gap("[4] why the performance metrics suit the system; no KPI is defined.")]
    return [
        say(
            f"[4] {one.data['kpi']} ({one.data['unit']}) is the figure that the goal is measured by. "
            f"{one.data['description']}".strip(),
            one,
        )
        for one in facts.kpis
    ]


def risk(facts: Facts) -> list[Statement]:
    model = facts.registered
    tier = on_record("5 risk tier", model and model.data["risk_tier"], [model])
    return [
        tier,
        gap("[5] the risk management system that Article 9 asks for; Muniment keeps the tier, not the assessment."),
    ]


def changes(facts: Facts) -> list[Statement]:
    found = facts.of("TrafficChanged", "Promoted", "RolledBack", "Retired", "Deployed", "AliasMoved")
    text = (
        f"{count(len(facts.versions), 'version')} and {count(len(found), 'change')} of what is in use; each is "
        "listed under Changes in use."
    )
    return [say(f"[6] {text}", *facts.versions, *found)]


def standards(facts: Facts) -> list[Statement]:
    named = facts.of("EvidenceRecorded", where=lambda data: data["kind"] == "compliance")
    if not named:
        return [gap("[7] the harmonised standards or other specifications that were applied.")]
    names = listed(f"{one.data['name']} ({'passed' if one.data['passed'] else 'failed'})" for one in named)
    return [say(f"[7] Evidence of compliance: {names}.", *named)]


def declaration(facts: Facts) -> list[Statement]:
    return [gap("[8] a copy of the EU declaration of conformity; Muniment does not keep it.")]


def post_market(facts: Facts) -> list[Statement]:
    live = [said[0] for said in facts.deployments.values()]
    return [
        on_record(
            "9 evaluation after the start of use",
            facts.windows and f"{count(len(facts.windows), 'window')} measured; see Article 72.",
            facts.windows,
        ),
        gap("[9] the post-market monitoring plan of Article 72(3).", ids(live)),
    ]
