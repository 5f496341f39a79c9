"""Records kept automatically (Article 12) and monitoring in use (Article 72) of Regulation (EU) 2024/1689."""

from services.audit.reports.document import Block, Row, Section, Table, gap
from services.audit.reports.facts import Fact, Facts, ids, personal
from services.audit.reports.sections.common import say
from services.audit.reports.words import count, instant, listed, minute

_SERVES = {
    "WindowMeasured": "12(2)(b), (c)",
    "DriftDetected": "12(2)(a), (b)",
    "KpiBreached": "12(2)(a), (b)",
    "IntegrityBreached": "12(2)(a), (b)",
    "AlertRaised": "12(2)(a), (b)",
    "AlertCleared": "12(2)(b)",
    "DeploymentSilent": "12(2)(a), (c)",
    "DeploymentHeard": "12(2)(c)",
    "FeedbackFlagged": "12(2)(a), (b)",
    "FlagResolved": "12(2)(b)",
    "FlagThresholdBreached": "12(2)(a)",
    "Deployed": "12(2)(a), (c)",
    "TrafficChanged": "12(2)(a), (c)",
    "Promoted": "12(2)(a), (c)",
    "RolledBack": "12(2)(a), (c)",
    "Retired": "12(2)(a), (c)",
    "PredictionLogged": "12(1), 12(2)(c)",
    "ModelVersionRegistered": "12(2)(a)",
}
"""Event type → the paragraph whose purpose it serves."""


def article_12(facts: Facts) -> Section:
    blocks: list[Block] = [
        say("Every event about this model is logged automatically, and a later change would show; this is a summary."),
        _period(facts),
        _types(facts),
        *_kept(facts),
        *_personal(facts),
        gap(
            "the categories of Annex III, point 1(a), for which Article 12(3) asks for more; whether the model "
            "belongs to "
            "them is not recorded."
        ),
    ]
    return Section("article-12", "Article 12: record-keeping", "Regulation (EU) 2024/1689, Article 12", tuple(blocks))


def _period(facts: Facts) -> Block:
    batches = sorted(facts.of("PredictionLogged"), key=lambda fact: fact.data["start"])
    if not batches:
        return gap("a logged prediction.", ids(facts.of("Deployed")))
    first, last = batches[0], max(batches, key=lambda fact: fact.data["end"])
    text = (
        f"Use on record: predictions from {first.data['start'][:19].replace('T', ' ')} UTC to "
        f"{last.data['end'][:19].replace('T', ' ')} UTC, each with its inputs, its output and its version."
    )
    return say(text, first, last)


def _kept(facts: Facts) -> list[Block]:
    """How long the rows of predictions are kept (Article 19 asks for six months at least)."""
    found: list[Block] = []
    for fact in facts.of("RetentionSet"):
        days = fact.data["days"]
        kept = f"for {count(days, 'day')}" if days else "for ever"
        reason = f" Reason: {fact.data['reason']}" if fact.data["reason"] else ""
        text = (
            f"Predictions of {fact.data['deployment']} are kept {kept}, set by {fact.actor} on {minute(fact.time)} UTC."
        )
        found.append(say(text + reason, fact))
    if not found:
        found.append(gap("a retention of predictions set for this model; the system's own setting is in force."))
    expired = facts.of("PredictionsExpired")
    if expired:
        rows = sum(fact.data["rows"] for fact in expired)
        found.append(say(f"{count(rows, 'prediction')} left the archive as the retention demands.", *expired))
    return found


def _personal(facts: Facts) -> list[Block]:
    """What is encrypted, and how many were forgotten: a token says of nobody which model's predictions were theirs."""
    versions = [fact for fact in facts.versions if personal(fact)]
    if not versions:
        return []
    what = listed(dict.fromkeys(name for fact in versions for name in personal(fact)))
    encrypted = f"Personal, and encrypted on the log with a key for each person: {what}."
    forgotten = facts.of("SubjectForgotten")
    people = count(len({fact.data["subject"] for fact in forgotten}), "person", "people")
    erased = f"Of {people} on the whole record the key was destroyed, so that nobody can read these values"
    return [
        say(encrypted, *versions),
        say(f"{erased} any more; what was measured, and every proof, stands as it was.", *forgotten)
        if forgotten
        else say("Nobody was forgotten: no such key was destroyed on the whole record.", *versions[-1:]),
    ]


def _types(facts: Facts) -> Block:
    found: dict[str, list[Fact]] = {}
    for fact in facts.facts:
        if fact.type != "PredictionLogged":
            found.setdefault(fact.type, []).append(fact)
    rows = [
        Row(
            (
                name,
                f"{len(said):,}",
                minute(min(one.time for one in said)),
                minute(max(one.time for one in said)),
                _SERVES.get(name, "–"),
            ),
            ids(said),
        )
        for name, said in sorted(found.items())
    ]
    columns = ("Event", "Number", "First (UTC)", "Last (UTC)", "Serves Article")
    return Table("Events about this model", columns, tuple(rows), wide=(1.8, 0.7, 1.2, 1.2, 1.1))


def article_72(facts: Facts) -> Section:
    windows, drift, breaches = facts.windows, facts.of("DriftDetected"), facts.of("KpiBreached")
    blocks: list[Block] = []
    if windows:
        text = (
            f"Data on performance in use is collected by window: {count(len(windows), 'window')}, the last one until "
            f"{windows[-1].data['window_end'][:10]}."
        )
        blocks.append(say(f"[72(2)] {text}", *windows))
    else:
        blocks.append(gap("[72(2)] data on performance in use.", ids(facts.of("Deployed"))))
    raised = f"{count(len(drift), 'drift alarm')} and {count(len(breaches), 'missed target')}"
    blocks.append(say(f"[72(2)] It was analysed for drift and against the targets: {raised}.", *drift, *breaches))
    blocks += [
        *_corrective(facts),
        gap("[72(3)] a post-market monitoring plan."),
        gap("[72(2)] interaction with other AI systems."),
    ]
    return Section(
        "article-72", "Article 72: post-market monitoring", "Regulation (EU) 2024/1689, Article 72", tuple(blocks)
    )


def _corrective(facts: Facts) -> list[Block]:
    acts = facts.of("RolledBack", "Retired", "Promoted")
    resolved = facts.of("FlagResolved")
    found: list[Block] = []
    if resolved:
        found.append(
            say(f"[72(2)] Experts' reports from use were answered: {count(len(resolved), 'flag')} resolved.", *resolved)
        )
    for fact in acts:
        what = {"RolledBack": "rolled back", "Retired": "retired", "Promoted": "given a new champion"}[fact.type]
        reason = fact.data.get("reason") or "no reason given"
        found.append(say(f"[72(2)] {fact.data['deployment']} was {what} on {instant(fact.time)}: {reason}", fact))
    return found
