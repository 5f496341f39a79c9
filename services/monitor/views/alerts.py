"""Alerts that were raised, whom they are told, and what two folds remember of windows."""

from shared.events.envelope import Event
from shared.events.monitor import AlertCleared, AlertRaised, AlertRouteAdded, AlertRouteRemoved
from shared.log.deliveries import deliveries
from shared.log.tables import Change, Put, Table

ALERTS = Table(
    "alerts",
    ("alert",),
    {
        "alert": "text",
        "deployment": "text",
        "model": "text",
        "version": "integer",
        "kind": "text",
        "since": "timestamp",
        "windows": "integer",
        "findings": "json",
        "summary": "text",
        "raised_at": "timestamp",
        "cleared_at": "timestamp",
        "cleared_summary": "text",
        "open": "boolean",
    },
    (("open", "deployment"), ("raised_at",)),
)
ROUTES = Table(
    "alert_routes",
    ("route",),
    {
        "route": "text",
        "name": "text",
        "format": "text",
        "host": "text",
        "sealed": "text",
        "deployments": "json",
        "kinds": "json",
        "added_by": "text",
        "added_at": "timestamp",
        "removed": "boolean",
    },
)
WINDOWS = Table(
    "alert_windows",
    ("deployment", "version", "kind", "window_start"),
    {
        "deployment": "text",
        "version": "integer",
        "kind": "text",
        "window_start": "timestamp",
        "window_end": "timestamp",
        "over": "json",
        "near": "boolean",
        "told": "text",
    },
)
"""Written by the consumer of alerts alone: what `domain.levels` makes of each window, and the event that changed it
last."""

QUALITY = Table(
    "quality_windows",
    ("deployment", "version", "window_start"),
    {
        "deployment": "text",
        "version": "integer",
        "window_start": "timestamp",
        "window_end": "timestamp",
        "cases": "bigint",
        "figures": "json",
        "intervals": "json",
        "expected": "json",
        "told": "text",
    },
)
"""Written by the consumer of alerts alone: quality by outcomes, `cases` null where they are too few, and what was
`expected` before they came."""

FIGURES = Table(
    "latest_figures",
    ("deployment", "version"),
    {"deployment": "text", "version": "integer", "window_start": "timestamp", "measured": "json"},
)
DELIVERIES = deliveries("alert_deliveries", alert="text", deployment="text")

TABLES = (ALERTS, ROUTES, WINDOWS, QUALITY, FIGURES, DELIVERIES)


def project(event: Event) -> list[Change]:
    """The rows that an alert or a route sets. Two consumers may apply them, in any order of the streams."""
    match event.data:
        case AlertRaised() as raised:
            return [_raised(event, raised)]
        case AlertCleared(alert=alert, summary=summary):
            ended = {"open": False, "cleared_at": event.time, "cleared_summary": summary}
            return [Put("alerts", {"alert": alert, **ended})]
        case AlertRouteAdded() as added:
            return [_route(event, added)]
        case AlertRouteRemoved(route=route):
            return [Put("alert_routes", {"route": route, "removed": True})]
        case _:
            return []


def _raised(event: Event, raised: AlertRaised) -> Change:
    return Put(
        "alerts",
        {
            "alert": raised.alert,
            "deployment": raised.deployment,
            "model": raised.model,
            "version": raised.version,
            "kind": raised.kind,
            "since": raised.since,
            "windows": raised.windows,
            "findings": [one.model_dump(mode="json") for one in raised.findings],
            "summary": raised.summary,
            "raised_at": event.time,
            "open": True,
        },
    )


def _route(event: Event, added: AlertRouteAdded) -> Change:
    return Put(
        "alert_routes",
        {
            "route": added.route,
            "name": added.name,
            "format": added.format,
            "host": added.host,
            "sealed": added.sealed,
            "deployments": list(added.deployments),
            "kinds": list(added.kinds),
            "added_by": event.actor,
            "added_at": event.time,
        },
    )
