"""Findings: what the record itself shows that somebody must answer for."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from services.audit.reports.document import Block, Row, Section, Table
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.alarms import open_alerts, silent
from services.audit.reports.sections.common import in_use, independent, say
from services.audit.reports.sections.monitoring import feature_named
from services.audit.reports.words import count, listed, minute, number

ORDER = ("high", "medium", "low")
BACKDATED = timedelta(minutes=1)


class Finding(NamedTuple):
    severity: str
    text: str
    events: tuple[str, ...]


def findings(facts: Facts) -> Section:
    source = "SR 26-2, model validation and monitoring · SR 11-7 V and VI (findings, issues, resolution)"
    found = ranked(facts)
    if not found:
        return Section("findings", "Findings", source, (say("The record up to this moment raises no finding."),))
    rows = tuple(Row((one.severity, one.text), one.events) for one in found)
    table: Block = Table("", ("Severity", "Finding"), rows, "findings", (0.7, 6.0))
    note = say("Findings are derived from the events by fixed rules; whether one is accepted is for people to say.")
    return Section("findings", "Findings", source, (note, table))


def ranked(facts: Facts) -> list[Finding]:
    """The gravest first."""
    rules = (
        _unapproved,
        _closed_gate,
        _failed_evidence,
        _own_word,
        _alerts,
        _kpi_missed,
        _drift,
        _data,
        _flags,
        _verification,
        _late,
    )
    found = [finding for rule in rules for finding in rule(facts)]
    return sorted(found, key=lambda one: ORDER.index(one.severity))


def _unapproved(facts: Facts) -> Iterator[Finding]:
    for name, (fact, traffic) in facts.live.items():
        champion = traffic["champion"]
        if not facts.about(champion, "ApprovalGranted"):
            yield _finding("high", f"Version {champion} answers in {name} without an approval on record.", [fact])


def _closed_gate(facts: Facts) -> Iterator[Finding]:
    for name, (fact, traffic) in facts.live.items():
        stage = facts.deployments[name][0].data.get("environment")
        gate = facts.gate(traffic["champion"], stage) if stage in ("staging", "production") else None
        if gate is not None and not gate.data["allowed"]:
            failed = listed(rule["rule"] for rule in gate.data["rules"] if not rule["passed"])
            text = f"Version {traffic['champion']} answers in {name}, and its gate for {stage} is closed: {failed}."
            yield _finding("high", text, [fact, gate])


def _failed_evidence(facts: Facts) -> Iterator[Finding]:
    for version in in_use(facts):
        newest: dict[tuple[str, str], Fact] = {}
        for fact in facts.about(version, "EvidenceRecorded"):
            newest[fact.data["kind"], fact.data["name"]] = fact
        failed = [fact for fact in newest.values() if not fact.data["passed"]]
        if failed:
            names = listed(fact.data["name"] for fact in failed)
            yield _finding("high", f"The newest result of {names} for version {version} is a failure.", failed)


def _own_word(facts: Facts) -> Iterator[Finding]:
    """Who registered a version approved it, or recorded all of its evidence."""
    for fact in facts.of("ApprovalGranted"):
        if not independent(facts, fact):
            others = [one for one in facts.about(fact.data["version"], "ApprovalGranted") if independent(facts, one)]
            after = "others approved it too" if others else "nobody else did"
            text = f"{fact.actor} registered version {fact.data['version']} and approved it; {after}."
            yield _finding("low" if others else "high", text, [fact, *others])
    for version in in_use(facts):
        evidence = facts.about(version, "EvidenceRecorded")
        if evidence and not any(independent(facts, fact) for fact in evidence):
            text = f"All evidence of version {version} was recorded by {evidence[0].actor}, who registered the version."
            yield _finding("medium", text, evidence)


def _alerts(facts: Facts) -> Iterator[Finding]:
    for fact in open_alerts(facts):
        text = (
            f"An alert of {fact.data['kind']} on version {fact.data['version']} is open since {minute(fact.time)} "
            f"UTC: {fact.data['summary']}"
        )
        yield _finding("high" if fact.data["version"] in facts.champions else "medium", text, [fact])
    for fact in silent(facts):
        heard = fact.data["last_heard"][:16].replace("T", " ")
        yield _finding("medium", f"{fact.data['deployment']} has had no prediction since {heard} UTC.", [fact])


def _kpi_missed(facts: Facts) -> Iterator[Finding]:
    for definition in facts.kpis:
        name = definition.data["kpi"]
        found = facts.of("KpiBreached", where=lambda data, name=name: data["kpi"] == name)
        if found:
            last = max(found, key=lambda fact: fact.data["window_start"])
            text = (
                f"KPI {name} missed its target in {count(len(found), 'window')}, last in the one from "
                f"{last.data['window_start'][:10]} ({number(last.data['value'])} {last.data['unit']} per case against "
                f"{number(last.data['target'])})."
            )
            yield _finding("medium", text, found)


def _drift(facts: Facts) -> Iterator[Finding]:
    found = facts.of("DriftDetected")
    if found:
        names = sorted({feature_named(fact) for fact in found})
        text = (
            f"Drift beyond the threshold was detected {count(len(found), 'time')} in {count(len(names), 'feature')}: "
            f"{listed(names)}."
        )
        yield _finding("medium", text, found)


def _data(facts: Facts) -> Iterator[Finding]:
    found = facts.of("IntegrityBreached")
    if found:
        checks = listed(sorted({fact.data["check"] for fact in found}))
        yield _finding("medium", f"Checks of the data were breached {count(len(found), 'time')}: {checks}.", found)


def _flags(facts: Facts) -> Iterator[Finding]:
    waiting = facts.open_flags
    for severity in ("critical", "high", "medium", "low"):
        same = [fact for fact in waiting if fact.data["severity"] == severity]
        if same:
            oldest = min(same, key=lambda fact: fact.time)
            text = (
                f"{count(len(same), f'flag of {severity} severity', f'flags of {severity} severity')} still open, "
                f"the oldest since {minute(oldest.time)} UTC."
            )
            yield _finding({"critical": "high", "high": "high"}.get(severity, "low"), text, same)
    for fact in facts.of("FlagThresholdBreached"):
        text = (
            f"Open flags of version {fact.data['version']} in {fact.data['deployment']} reached "
            f"{fact.data['open_flags']}, the limit being {fact.data['threshold']}."
        )
        yield _finding("medium", text, [fact])


def _verification(facts: Facts) -> Iterator[Finding]:
    checks = facts.of("VerificationCompleted")
    bad = [fact for fact in checks if fact.data["outcome"] != "equal"]
    for fact in bad:
        text = (
            f"A replay of the log differed from the views on {minute(fact.time)} UTC: {fact.data['first_difference']}"
        )
        yield _finding("high", text, [fact])
    for fact in facts.of("ViewsVerified"):
        if fact.data["outcome"] == "different":
            text = (
                f"The views of {fact.data['service']} differed from a replay of the log on {minute(fact.time)} UTC: "
                f"{fact.data['first_difference']}"
            )
            yield _finding("high", text, [fact])
    if not checks:
        yield Finding("low", "No verification of the record against its log is on record for this moment.", ())


def _late(facts: Facts) -> Iterator[Finding]:
    late = [fact for fact in facts.facts if fact.recorded - fact.time > BACKDATED]
    if late:
        most = max(late, key=lambda fact: fact.recorded - fact.time)
        lag = (most.recorded - most.time).days
        told = "event was recorded" if len(late) == 1 else "events were recorded"
        text = (
            f"{len(late):,} {told} more than a minute after the stated time of happening, the farthest by "
            f"{count(lag, 'day')}; such events show both times wherever they are used."
        )
        yield _finding("low", text, late)


def _finding(severity: str, text: str, facts: Iterable[Fact | None]) -> Finding:
    return Finding(severity, text, ids(facts))
