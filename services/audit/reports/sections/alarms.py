"""What monitoring raised: alerts, breached checks of the data, silence."""

from services.audit.reports.document import Block, Row, Table
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import say
from services.audit.reports.words import count, listed, minute

MAX_ALERTS = 100
"""Alerts shown one by one, the newest; the rest is counted."""


def blocks(facts: Facts) -> list[Block]:
    """Alerts, then data checks, then silence; nothing where nothing was raised."""
    return [*_alerts(facts), *_integrity(facts), *_silence(facts)]


def open_alerts(facts: Facts) -> list[Fact]:
    """Alerts that were raised and not cleared."""
    cleared = {fact.data["alert"] for fact in facts.of("AlertCleared")}
    return [fact for fact in facts.of("AlertRaised") if fact.data["alert"] not in cleared]


def silent(facts: Facts) -> list[Fact]:
    """Per deployment the word that it is silent, where that was said last and it is still in use."""
    last: dict[str, Fact] = {}
    for fact in facts.of("DeploymentSilent", "DeploymentHeard"):
        last[fact.data["deployment"]] = fact
    return [fact for name, fact in last.items() if fact.type == "DeploymentSilent" and name in facts.live]


def _alerts(facts: Facts) -> list[Block]:
    raised = facts.of("AlertRaised")
    if not raised:
        return []
    ends = {fact.data["alert"]: fact for fact in facts.of("AlertCleared")}
    rows: list[Row] = []
    for fact in raised[-MAX_ALERTS:]:
        data, end = fact.data, ends.get(fact.data["alert"])
        state = f"cleared {minute(end.time)}" if end else "open"
        cells = (minute(fact.time), data["deployment"], str(data["version"]), data["kind"], data["summary"], state)
        rows.append(Row(cells, ids((fact, end))))
    columns = ("Raised (UTC)", "Deployment", "Version", "Kind", "What", "State")
    found: list[Block] = [Table("Alerts", columns, tuple(rows), wide=(1.1, 1.1, 0.7, 0.8, 3.0, 1.2))]
    earlier = raised[:-MAX_ALERTS]
    return (
        [*found, say(f"{count(len(earlier), 'earlier alert')} not shown one by one.", *earlier)] if earlier else found
    )


def _integrity(facts: Facts) -> list[Block]:
    found = facts.of("IntegrityBreached")
    if not found:
        return []
    checks = sorted({fact.data["check"] for fact in found})
    text = f"Checks of the data were breached {count(len(found), 'time')}: {listed(checks)}."
    return [say(text, *found)]


def _silence(facts: Facts) -> list[Block]:
    found = facts.of("DeploymentSilent")
    if not found:
        return []
    return [say(f"{count(len(found), 'time')} no prediction came for longer than the limit.", *found)]
