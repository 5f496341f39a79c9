"""The inventory of all models: what is in use, by whose word, how it does, and what is missing."""

from collections.abc import Sequence

from services.audit.reports.document import Block, Row, Section, Table, gap
from services.audit.reports.facts import Facts, ids
from services.audit.reports.sections.common import in_use, say
from services.audit.reports.sections.findings import ranked
from services.audit.reports.sections.monitoring import main_metric
from services.audit.reports.words import count, instant, listed, number


def sections(models: Sequence[Facts], everything: Facts) -> tuple[Section, ...]:
    source = "SR 26-2, governance and controls · SR 11-7 VI, model inventory"
    if not models:
        return (Section("models", "Models", source, (gap("a model at this moment."),)),)
    return (
        Section("models", "Models", source, (_sentence(models, everything), *_limits(models), _table(models))),
        Section("governance", "Approvals and evidence", source, (_governance(models),)),
        Section("performance", "Performance in use", source, (_performance(models),)),
        Section("findings", "Findings", source, (_findings(models),)),
    )


def _sentence(models: Sequence[Facts], everything: Facts) -> Block:
    used = [one for one in models if one.live]
    text = (
        f"At {instant(everything.at)}, as it was known at {instant(everything.known_at)}: "
        f"{count(len(models), 'model')}, {len(used)} in use."
    )
    return say(text, *(one.registered for one in models))


def _limits(models: Sequence[Facts]) -> list[Block]:
    return [
        say(f"A limit was met while the facts of {one.model} were read: {limit}")
        for one in models
        for limit in one.limits
    ]


def _table(models: Sequence[Facts]) -> Block:
    rows: list[Row] = []
    for facts in models:
        model = facts.registered
        data = model.data if model else {}
        live = [f"{name}: version {traffic['champion']}" for name, (_, traffic) in facts.live.items()]
        cells = (
            facts.model,
            data.get("owner") or "Not on record",
            data.get("risk_tier") or "Not on record",
            data.get("goal") or "Not on record",
            listed(str(one.data["version"]) for one in facts.versions) or "none",
            "; ".join(live) or ("retired" if facts.deployments else "never deployed"),
        )
        rows.append(Row(cells, ids([model, *(fact for fact, _ in facts.live.values())]), gap="Not on record" in cells))
    columns = ("Model", "Owner", "Risk tier", "Goal", "Versions", "In use")
    return Table("Models", columns, tuple(rows), wide=(1.4, 1, 0.7, 1.3, 0.8, 2))


def _governance(models: Sequence[Facts]) -> Block:
    rows: list[Row] = []
    for facts in models:
        for version in in_use(facts):
            granted, evidence = facts.about(version, "ApprovalGranted"), facts.about(version, "EvidenceRecorded")
            gate = facts.gate(version, "production")
            passed = sum(1 for one in evidence if one.data["passed"])
            by = listed(f"{one.actor} ({one.data['role']})" for one in granted)
            state = "Not on record" if gate is None else ("open" if gate.data["allowed"] else "closed")
            cells = (
                facts.model,
                str(version),
                by or "Not on record",
                f"{passed} of {len(evidence)} passed" if evidence else "Not on record",
                state,
            )
            rows.append(Row(cells, ids([*granted, *evidence, gate]), gap="Not on record" in cells))
    if not rows:
        return gap("a version of any model.")
    columns = ("Model", "Version", "Approved by", "Evidence", "Gate for production")
    return Table("Approvals and evidence of the versions in use", columns, tuple(rows), wide=(1.4, 0.7, 2, 1.1, 1.1))


def _performance(models: Sequence[Facts]) -> Block:
    rows: list[Row] = []
    for facts in models:
        windows = facts.windows
        metric = main_metric(windows)
        latest = next((one for one in reversed(windows) if metric in one.data["quality"]), None)
        quality = f"{metric} {number(latest.data['quality'][metric])}" if latest and metric else "Not on record"
        until = latest.data["window_start"][:10] if latest else "–"
        predictions = number(sum(one.data["predictions"] for one in windows)) if windows else "Not on record"
        alarms = len(facts.of("DriftDetected")) + len(facts.of("KpiBreached"))
        cells = (facts.model, predictions, quality, until, number(alarms), str(len(facts.open_flags)))
        rows.append(Row(cells, ids([*windows[-1:], latest]), gap="Not on record" in cells))
    columns = ("Model", "Predictions measured", "Latest quality", "Window from", "Alarms", "Open flags")
    return Table("Performance in use", columns, tuple(rows), wide=(1.4, 1.2, 1.2, 1, 0.8, 0.8))


def _findings(models: Sequence[Facts]) -> Block:
    rows = [
        Row((one.severity, f"{facts.model}: {one.text}"), one.events)
        for facts in models
        for one in ranked(facts)
        if one.severity != "low"
    ]
    if not rows:
        return say("No finding above low severity.")
    return Table(
        "", ("Severity", "Finding"), tuple(sorted(rows, key=lambda row: row.cells[0] != "high")), "findings", (0.7, 6.0)
    )
