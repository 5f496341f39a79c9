"""What a receiver gets of an alert: the fact as JSON, or text in the form that Slack's incoming webhooks take."""

import orjson

from services.monitor.domain.alerts import ALL, EVERY, QUALITY, compared
from shared.events.envelope import Event
from shared.events.monitor import AlertCleared, AlertRaised, Finding
from shared.runtime.webhooks.body import body

LISTED = 20
MAX_TEXT = 2_900
"""Slack takes 3,000 characters per section."""


def body_of(event: Event, alert: AlertRaised | AlertCleared, form: str) -> str:
    """The body of a delivery."""
    kind = "alert.raised" if isinstance(alert, AlertRaised) else "alert.cleared"
    message = _slack(alert) if form == "slack" else body(kind, event)
    return orjson.dumps(message).decode()


def _slack(alert: AlertRaised | AlertCleared) -> dict[str, object]:
    raised = isinstance(alert, AlertRaised)
    sign = ":rotating_light:" if raised else ":white_check_mark:"
    kind = alert.kind.replace("_", " ")
    head = f"{sign} *{_plain(alert.deployment)}* version {alert.version}: {kind} {'' if raised else 'cleared'}"
    lines = [head.rstrip(), _plain(alert.summary)]
    if isinstance(alert, AlertRaised):
        lines += [_line(alert.kind, one) for one in alert.findings[:LISTED]]
        if len(alert.findings) > LISTED:
            lines.append(f"… and {len(alert.findings) - LISTED} more")
    text = "\n".join(lines)[:MAX_TEXT]
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def _line(kind: str, one: Finding) -> str:
    if kind in QUALITY:
        return _quality(one)
    unit = f" {_plain(one.unit)}" if one.unit else ""
    name = EVERY if one.name == ALL else _plain(one.name)
    return f"• {name} {_plain(one.statistic)} {one.value:.4g}{unit} (threshold {one.threshold:.4g}{unit})"


def _quality(one: Finding) -> str:
    sure = ", estimated" if one.estimated else ""
    return f"• {_plain(one.name)} {one.value:.4g}{sure} ({compared(one)}, threshold {one.threshold:.4g})"


def _plain(text: str) -> str:
    """Text that Slack takes as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
