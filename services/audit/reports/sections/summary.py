"""What a reader who reads one page must know."""

from services.audit.reports.document import Block, Chart, Row, Section, Table
from services.audit.reports.facts import Facts
from services.audit.reports.sections.common import in_use, pairs, say, versions_named
from services.audit.reports.sections.findings import ranked
from services.audit.reports.sections.monitoring import main_metric, quality_chart
from services.audit.reports.sections.outcomes import outcomes
from services.audit.reports.words import count, instant, number


def summary(facts: Facts) -> Section:
    blocks: list[Block] = [_state(facts), _key(facts), *_worst(facts), *_charts(facts)]
    blocks += [say(f"A limit was met while the facts were read: {limit}") for limit in facts.limits]
    return Section("summary", "Summary", "What this report finds, in one page", tuple(blocks))


def _state(facts: Facts) -> Block:
    model = facts.registered
    if not facts.live:
        return say(f"{facts.model} answers nowhere at {instant(facts.at)}.", model, *facts.of("Retired"))
    named = versions_named(facts.champions)
    where = ", ".join(f"{name} (version {traffic['champion']})" for name, (_, traffic) in facts.live.items())
    verb = "answers" if len(facts.champions) == 1 else "answer"
    text = (
        f"At {instant(facts.at)}, as it was known at {instant(facts.known_at)}, {named} of {facts.model} {verb} in "
        f"{where}."
    )
    return say(text, *(fact for fact, _ in facts.live.values()))


def _key(facts: Facts) -> Block:
    windows = facts.windows
    metric = main_metric(windows)
    latest = next((fact for fact in reversed(windows) if metric in fact.data["quality"]), None)
    approvals = [fact for number_ in in_use(facts) for fact in facts.about(number_, "ApprovalGranted")]
    found = ranked(facts)
    grave = sum(1 for one in found if one.severity == "high")
    return pairs(
        "",
        [
            ("Question", facts.goal.data["question"] if facts.goal else None, [facts.goal]),
            ("Owner", facts.registered.data["owner"] if facts.registered else None, [facts.registered]),
            ("Risk tier", facts.registered.data["risk_tier"] if facts.registered else None, [facts.registered]),
            ("Approved by", ", ".join(f"{one.actor} as {one.data['role']}" for one in approvals), approvals),
            (
                "Predictions measured",
                number(sum(one.data["predictions"] for one in windows)) if windows else None,
                windows,
            ),
            (
                "Latest quality",
                f"{metric} {number(latest.data['quality'][metric])} in the window from "
                f"{latest.data['window_start'][:10]}"
                if latest and metric
                else None,
                [latest],
            ),
            ("Findings", f"{count(len(found), 'finding')}, {grave} of high severity", []),
        ],
    )


def _worst(facts: Facts) -> list[Block]:
    found = [one for one in ranked(facts) if one.severity != "low"][:5]
    if not found:
        return []
    rows = tuple(Row((one.severity, one.text), one.events) for one in found)
    return [Table("Gravest findings", ("Severity", "Finding"), rows, "findings", (0.7, 6.0))]


def _charts(facts: Facts) -> list[Block]:
    """The first KPI in use, or else quality."""
    drawn = [block for block in outcomes(facts).blocks if isinstance(block, Chart)][:1]
    return list(drawn or [block for block in quality_chart(facts, facts.windows) if isinstance(block, Chart)])
