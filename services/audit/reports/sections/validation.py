"""Evidence, independence, approvals and gates: what allowed a version into use."""

from services.audit.reports.document import Block, Row, Section, Statement, Table, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import in_use, independent, say
from services.audit.reports.words import count, figures, minute

KINDS = ("quality", "performance", "security", "availability", "compliance")


def validation(facts: Facts) -> Section:
    source = "SR 26-2, model validation and monitoring · SR 11-7 V (conceptual soundness, effective challenge)"
    blocks: list[Block] = [evidence_table(facts), *_independence(facts), *missing_kinds(facts)]
    return Section("validation", "Validation", source, tuple(blocks))


def evidence_table(facts: Facts) -> Block:
    rows = [
        Row(
            (
                str(fact.data["version"]),
                fact.data["kind"],
                fact.data["name"],
                "passed" if fact.data["passed"] else "FAILED",
                figures(fact.data["metrics"]) or "–",
                fact.data["report"] or "–",
                f"{fact.actor}, {minute(fact.time)}",
            ),
            ids([fact]),
        )
        for fact in facts.of("EvidenceRecorded")
    ]
    if not rows:
        return gap("evidence of any test of any version.", ids([facts.registered]))
    columns = ("Version", "Kind", "Test", "Result", "Figures", "Report", "By, when (UTC)")
    return Table("Evidence", columns, tuple(rows), wide=(0.65, 0.8, 1.3, 0.7, 2.0, 1.8, 1.3))


def _independence(facts: Facts) -> list[Statement]:
    found: list[Statement] = []
    for number in in_use(facts):
        evidence = facts.about(number, "EvidenceRecorded")
        own = [fact for fact in evidence if not independent(facts, fact)]
        if not evidence:
            continue
        if len(own) == len(evidence):
            text = f"an independent validation of version {number}; all its evidence was recorded by who registered it."
            found.append(gap(text, ids(evidence)))
        else:
            others = [fact for fact in evidence if fact not in own]
            text = f"{count(len(others), 'test')} of version {number} recorded by others than who registered it."
            found.append(say(text[0].upper() + text[1:], *others))
    return found


def missing_kinds(facts: Facts) -> list[Statement]:
    """Kinds of evidence that a version in use has none of."""
    found: list[Statement] = []
    for number in in_use(facts):
        have = {fact.data["kind"] for fact in facts.about(number, "EvidenceRecorded")}
        lacking = [kind for kind in KINDS if kind not in have]
        if lacking:
            found.append(gap(f"evidence of {', '.join(lacking)} for version {number}.", ids([facts.version(number)])))
    return found


def approvals(facts: Facts) -> Section:
    source = "SR 26-2, governance and controls · SR 11-7 VI (roles and responsibilities, approvals)"
    blocks: list[Block] = [_approvals(facts)]
    for number in in_use(facts):
        blocks.append(_gate(facts, number))
    return Section("approvals", "Approvals and gates", source, (*blocks, *_policies(facts)))


def _approvals(facts: Facts) -> Block:
    rows = [
        Row(
            (
                str(fact.data["version"]),
                "approved" if fact.type == "ApprovalGranted" else "REJECTED",
                fact.data["role"],
                fact.actor + ("" if independent(facts, fact) else " (registered the version)"),
                minute(fact.time),
                fact.data["comment"] or "–",
                "; ".join(fact.data.get("conditions", ())) or "none",
            ),
            ids([fact]),
        )
        for fact in facts.of("ApprovalGranted", "ApprovalRejected")
    ]
    if not rows:
        return gap("an approval or rejection of any version.", ids([facts.registered]))
    columns = ("Version", "Decision", "As", "By", "When (UTC)", "Comment", "Conditions")
    return Table("Approvals", columns, tuple(rows), wide=(0.65, 0.8, 1.0, 1.2, 1.1, 2.2, 1.0))


def _gate(facts: Facts, version: int) -> Block:
    gate = facts.gate(version, "production")
    if gate is None:
        return gap(f"a gate of version {version} for production.", ids([facts.version(version)]))
    rows = [
        Row((rule["rule"], "passed" if rule["passed"] else "NOT PASSED", rule["reason"]), (gate.id, *rule["evidence"]))
        for rule in gate.data["rules"]
    ]
    state = "open" if gate.data["allowed"] else "closed"
    title = f"Gate of version {version} for production: {state} since {minute(gate.time)} UTC"
    return Table(title, ("Rule", "Result", "Reason"), tuple(rows), wide=(1.3, 0.8, 3.6))


def _policies(facts: Facts) -> list[Statement]:
    adopted: dict[str, Fact] = {fact.data["stage"]: fact for fact in facts.of("PolicyAdopted")}
    if not adopted:
        return [gap("a gate policy that this organisation adopted; the built-in one was in force.")]
    return [
        say(
            f"Policy {fact.data['version']} for {stage}, adopted by {fact.actor} on {minute(fact.time)} UTC, demands "
            f"evidence of {', '.join(fact.data['evidence']) or 'nothing'}, approval as "
            f"{', '.join(fact.data['approvals']) or 'nobody'}"
            f"{', four eyes' if fact.data['four_eyes'] else ''}{', a goal' if fact.data['goal_required'] else ''}"
            f"{_more(fact)}.",
            fact,
        )
        for stage, fact in adopted.items()
    ]


def _more(fact: Fact) -> str:
    """What policies say besides since they may hold a table."""
    table, flags = fact.data.get("table"), fact.data.get("flags")
    found = f", no open flag of severity {flags} or graver" if flags else ""
    if table:
        found += f"; and what the rows that apply of its decision table ({len(table['rows'])} rows) say"
    if fact.data.get("proposed_by"):
        found += f". {fact.data['proposed_by']} had proposed it"
    return found
