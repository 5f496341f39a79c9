"""Limitations, and where people overruled or contradicted the model."""

from services.audit.reports.document import Block, Row, Section, Statement, Table, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import in_use, say
from services.audit.reports.sections.inventory import restrictions
from services.audit.reports.words import count, minute, shown

MAX_FLAGS = 200
"""Flags shown one by one; the rest is counted."""


def limitations(facts: Facts) -> Section:
    source = "SR 26-2, model development and model use · SR 11-7 IV and V (limitations, assumptions, uncertainty)"
    blocks: list[Block] = [*restrictions(facts), *_rejections(facts), *_defects(facts), *_unmeasured(facts)]
    blocks += [
        gap(f"limitations and assumptions that the makers of version {number} stated.", ids([facts.version(number)]))
        for number in in_use(facts)
    ]
    return Section("limitations", "Limitations", source, tuple(blocks))


def _rejections(facts: Facts) -> list[Statement]:
    return [
        say(
            f"Version {fact.data['version']} was rejected by {fact.actor} as {fact.data['role']}: "
            f"{fact.data['comment'] or 'no comment'}",
            fact,
        )
        for fact in facts.of("ApprovalRejected")
    ]


def _defects(facts: Facts) -> list[Statement]:
    """Flags that ended in a defect of the model or of its data: limitations learnt in use."""
    found: list[Statement] = []
    for said in facts.flags.values():
        for fact in said:
            if fact.type == "FlagResolved" and fact.data["resolution"] in ("model_defect", "data_defect"):
                kind = fact.data["resolution"].replace("_", " ")
                found.append(
                    say(
                        f"Known {kind}, settled by {fact.actor} on {minute(fact.time)} UTC: {fact.data['comment']}",
                        said[0],
                        fact,
                    )
                )
    return found


def _unmeasured(facts: Facts) -> list[Statement]:
    found: list[Statement] = []
    measured = {fact.data["version"] for fact in facts.windows}
    for number in in_use(facts):
        version = facts.version(number)
        if version is not None and number not in measured:
            found.append(gap(f"any measured window of version {number}.", ids([version])))
    return found


def overrides(facts: Facts) -> Section:
    source = "SR 26-2, model validation and monitoring · SR 11-7 V.2 (overrides), effective challenge in use"
    blocks: list[Block] = [_flags(facts), *_rollbacks(facts)]
    blocks.append(
        gap(
            "overrides that took place outside Muniment; where people act on other than the model's answer, "
            "only what they flag or correct here is known."
        )
    )
    return Section("overrides", "Overrides and expert challenge", source, tuple(blocks))


def _flags(facts: Facts) -> Block:
    flags = facts.flags
    if not flags:
        return gap("a flag by a subject matter expert on any prediction.", ids(facts.of("Deployed")))
    shown_ = list(flags.values())[-MAX_FLAGS:]
    rows = [_flag(said) for said in shown_]
    if len(flags) > len(shown_):
        rest = len(flags) - len(shown_)
        rows.append(
            Row(
                ("", "", "", "", f"{count(rest, 'earlier flag')} not shown one by one", ""),
                ids(said[0] for said in list(flags.values())[:rest]),
            )
        )
    columns = ("When (UTC)", "By", "Version", "Severity", "What the expert said", "What became of it")
    return Table("Flags", columns, tuple(rows), wide=(1.0, 1.0, 0.6, 0.75, 3.0, 1.6))


def _flag(said: list[Fact]) -> Row:
    first = said[0]
    ends = [fact for fact in said if fact.type == "FlagResolved"]
    placed = next((fact.data["version"] for fact in said if fact.data.get("version") is not None), None)
    expected = "" if first.data.get("expected") is None else f" Expected: {shown(first.data['expected'])}."
    what = f"{first.data['category'].replace('_', ' ')}: {first.data['comment'] or 'no comment.'}{expected}"
    many = max((fact.data["total"] for fact in said if fact.type == "PredictionsFlagged"), default=0)
    what += f" ({count(many, 'prediction')})" if many else ""
    became = "open"
    if ends:
        became = f"{ends[-1].data['resolution'].replace('_', ' ')} ({ends[-1].actor}, {minute(ends[-1].time)})"
    elif any(fact.type == "FlagTriaged" for fact in said):
        became = "in triage"
    cells = (
        minute(first.time),
        first.actor,
        shown(placed) if placed else "not known",
        first.data["severity"],
        what,
        became,
    )
    return Row(cells, ids(said))


def _rollbacks(facts: Facts) -> list[Statement]:
    found = facts.of("RolledBack")
    return [
        say(
            f"{fact.data['deployment']} was rolled back by {fact.actor} on {minute(fact.time)} UTC: "
            f"{fact.data['reason'] or 'no reason given'}",
            fact,
        )
        for fact in found
    ]
