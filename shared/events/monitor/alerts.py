"""Alerts and where they are sent."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.monitor.parts import MonitorPayload
from shared.events.registry import Part

AlertKind = Literal["drift", "kpi", "quality", "estimated_quality", "integrity", "fairness", "traffic", "silence"]


class Finding(Part):
    """One thing that an alert is about: a feature, a KPI, …; `value` against `threshold`, both in `unit`, if any.

    Of quality `name` is the figure, `statistic` what it is compared with (reference, past, champion, bound), `base`
    what it is there, and `estimated` whether outcomes have yet to come."""

    name: str
    statistic: str
    value: float
    threshold: float
    unit: str = ""
    base: float | None = None
    estimated: bool = False


class AlertRaised(MonitorPayload):
    """So many windows in a row were over the threshold; `since`: when the first of them began. One alert is open per
    deployment, version and kind at a time; `alert` names it, and is the id of this event."""

    alert: str
    kind: AlertKind
    since: datetime
    windows: int
    findings: tuple[Finding, ...]
    summary: str


class AlertCleared(MonitorPayload):
    """So many windows in a row were below the level at which the alert clears."""

    alert: str
    kind: AlertKind
    windows: int
    summary: str


class AlertRouteAdded(Payload):
    """Who is told of alerts. `sealed`: the address, readable with the signing key alone; empty lists mean all."""

    OWNER: ClassVar[str] = "monitor"
    route: str
    name: str
    format: Literal["webhook", "slack"]
    host: str
    sealed: str
    deployments: tuple[str, ...] = ()
    kinds: tuple[AlertKind, ...] = ()


class AlertRouteRemoved(Payload):
    OWNER: ClassVar[str] = "monitor"
    route: str
    reason: str = ""
