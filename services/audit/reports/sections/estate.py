"""The inventory of all models: what is in use, by whose word, how it does, and what is missing.

Each model is boiled down to an `Entry` as soon as its facts are read, so that an inventory of many models needs the
memory of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.audit.reports.document import GAP, Block, Row, Section, Table, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import in_use, say
from services.audit.reports.sections.findings import ranked
from services.audit.reports.sections.monitoring import main_metric
from services.audit.reports.words import count, instant, listed, number

SOURCE = "SR 26-2, governance and controls · SR 11-7 VI, model inventory"
_SEVERE = ("high", "medium")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the inventory says of one model. `facts`: those that its rows refer to, by id and without their data."""

    model: str
    used: bool
    registered: tuple[str, ...]
    row: Row
    governance: tuple[Row, ...]
    performance: Row
    findings: tuple[Row, ...]
    limits: tuple[str, ...]
    facts: Mapping[str, Fact]


def entry(facts: Facts) -> Entry:
    """One model's part of the inventory."""
    row, governance, performance = _row(facts), _governance(facts), _performance(facts)
    findings = tuple(
        Row((one.severity, f"{facts.model}: {one.text}"), one.events)
        for one in ranked(facts)
        if one.severity in _SEVERE
    )
    registered = ids([facts.registered])
    named = {event for one in (row, *governance, performance, *findings) for event in one.events} | {*registered}
    known = {name: replace(fact, data={}) for name, fact in facts.by_id.items() if name in named}
    return Entry(facts.model, bool(facts.live), registered, row, governance, performance, findings, facts.limits, known)


def sections(entries: Sequence[Entry], everything: Facts) -> tuple[Section, ...]:
    if not entries:
        return (Section("models", "Models", SOURCE, (gap("a model at this moment."),)),)
    return (
        Section("models", "Models", SOURCE, (_sentence(entries, everything), *_limits(entries), _models(entries))),
        Section("governance", "Approvals and evidence", SOURCE, (_approvals(entries),)),
        Section("performance", "Performance in use", SOURCE, (_use(entries),)),
        Section("findings", "Findings", SOURCE, (_findings(entries),)),
    )


def _sentence(entries: Sequence[Entry], everything: Facts) -> Block:
    used = sum(one.used for one in entries)
    moment = f"At {instant(everything.at)}, as it was known at {instant(everything.known_at)}"
    text = f"{moment}: {count(len(entries), 'model')}, {used} in use."
    return say(text, *(one.facts[event] for one in entries for event in one.registered))


def _limits(entries: Sequence[Entry]) -> list[Block]:
    return [
        say(f"A limit was met while the facts of {one.model} were read: {limit}")
        for one in entries
        for limit in one.limits
    ]


def _models(entries: Sequence[Entry]) -> Block:
    columns = ("Model", "Owner", "Risk tier", "Goal", "Versions", "In use")
    return Table("Models", columns, tuple(one.row for one in entries), wide=(1.4, 1, 0.7, 1.3, 0.8, 2))


def _row(facts: Facts) -> Row:
    model = facts.registered
    data = model.data if model else {}
    live = [f"{name}: version {traffic['champion']}" for name, (_, traffic) in facts.live.items()]
    cells = (
        facts.model,
        data.get("owner") or GAP,
        data.get("risk_tier") or GAP,
        data.get("goal") or GAP,
        listed(str(one.data["version"]) for one in facts.versions) or "none",
        "; ".join(live) or ("retired" if facts.deployments else "never deployed"),
    )
    return Row(cells, ids([model, *(fact for fact, _ in facts.live.values())]), gap=GAP in cells)


def _approvals(entries: Sequence[Entry]) -> Block:
    rows = tuple(row for one in entries for row in one.governance)
    if not rows:
        return gap("a version of any model.")
    columns = ("Model", "Version", "Approved by", "Evidence", "Gate for production")
    return Table("Approvals and evidence of the versions in use", columns, rows, wide=(1.4, 0.7, 2, 1.1, 1.1))


def _governance(facts: Facts) -> tuple[Row, ...]:
    rows: list[Row] = []
    for version in in_use(facts):
        granted, evidence = facts.about(version, "ApprovalGranted"), facts.about(version, "EvidenceRecorded")
        gate = facts.gate(version, "production")
        passed = sum(1 for one in evidence if one.data["passed"])
        by = listed(f"{one.actor} ({one.data['role']})" for one in granted)
        state = GAP if gate is None else ("open" if gate.data["allowed"] else "closed")
        tests = f"{passed} of {len(evidence)} passed" if evidence else GAP
        cells = (facts.model, str(version), by or GAP, tests, state)
        rows.append(Row(cells, ids([*granted, *evidence, gate]), gap=GAP in cells))
    return tuple(rows)


def _use(entries: Sequence[Entry]) -> Block:
    columns = ("Model", "Predictions measured", "Latest quality", "Window from", "Alarms", "Open flags")
    rows = tuple(one.performance for one in entries)
    return Table("Performance in use", columns, rows, wide=(1.4, 1.2, 1.2, 1, 0.8, 0.8))


def _performance(facts: Facts) -> Row:
    windows = facts.windows
    metric = main_metric(windows)
    latest = next((one for one in reversed(windows) if metric in one.data["quality"]), None)
    quality = f"{metric} {number(latest.data['quality'][metric])}" if latest and metric else GAP
    until = latest.data["window_start"][:10] if latest else "–"
    predictions = number(sum(one.data["predictions"] for one in windows)) if windows else GAP
    alarms = len(facts.of("DriftDetected")) + len(facts.of("KpiBreached"))
    cells = (facts.model, predictions, quality, until, number(alarms), str(len(facts.open_flags)))
    return Row(cells, ids([*windows[-1:], latest]), gap=GAP in cells)


def _findings(entries: Sequence[Entry]) -> Block:
    rows = [row for one in entries for row in one.findings]
    if not rows:
        return say("No finding above low severity.")
    graver = sorted(rows, key=lambda row: _SEVERE.index(row.cells[0]))
    return Table("", ("Severity", "Finding"), tuple(graver), "findings", (0.7, 6.0))
