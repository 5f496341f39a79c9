"""What the monitor states of windows, into alerts; and alerts, into what is to be delivered. All in one unit of work:
each fact has its effect once, whatever is delivered again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from services.monitor.alerting import qualities
from services.monitor.alerting.messages import body_of
from services.monitor.domain import alerts
from services.monitor.domain.alerts import Observe, Retire, Seen, Silence, Target
from services.monitor.domain.levels import Goal, Rules, levels
from services.monitor.facts import kpis_of
from services.monitor.views.alerts import project
from shared.events.deployer import Retired
from shared.events.envelope import Event
from shared.events.monitor import (
    AlertCleared,
    AlertKind,
    AlertRaised,
    AlertRouteAdded,
    AlertRouteRemoved,
    DeploymentHeard,
    DeploymentSilent,
    DriftDetected,
    Finding,
    WindowMeasured,
)
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.consumer import Received
from shared.runtime.service import Service
from shared.runtime.settings import Settings

CONSUMER = "monitor.alerts"
ACTOR = "monitor"
LOOKED_BACK = 10
"""Windows read for each fact, or as many as the settings ask for, if more: where windows come one by one, an alert is
raised or cleared by the last of those that it takes."""

MAX_WINDOWS = 100_000
MAX_ROUTES = 10_000


@dataclass(slots=True)
class Observing:
    """Folds records of one partition of muniment.monitor or muniment.deployer within a unit of work."""

    service: Service

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        """Window after window, so that a backlog tells the same alerts as windows that come one by one."""
        events = [item.event for item in received]
        await unit.lock(sorted({name for event in events for name in _locks(event)}))
        for run in _runs(events):
            event = run[-1]
            match event.data:
                case WindowMeasured() as measured:
                    await self._decide(unit, event, await self._measured(unit, event.id, measured))
                case DriftDetected():
                    await self._decide(unit, event, [await _drifted(unit, run)])
                case DeploymentSilent() | DeploymentHeard():
                    await self._silence(unit, event)
                case Retired(deployment=name):
                    await self._retired(unit, event, name)
                case AlertRaised() | AlertCleared():
                    await self._deliver(unit, event)
                case AlertRouteAdded() | AlertRouteRemoved():
                    await unit.apply(project(event))  # as `monitor.facts` does, since deliveries go by it
                case _:
                    continue

    async def _measured(self, unit: UnitOfWork, told: str, measured: WindowMeasured) -> list[Target]:
        """Remember the window's levels and quality; returns what they are about."""
        before = await unit.get("alert_windows", measured.deployment, measured.version, "drift", measured.window_start)
        goals = {
            kpi.name: Goal(kpi.direction, kpi.target)  # type: ignore[arg-type]
            for kpi in await kpis_of(unit, measured.model)
            if kpi.target is not None
        }
        found = levels(measured, _findings(before), goals, rules_of(self.service.settings))
        changes = [
            change
            for kind, level in found.items()
            for change in await _window(unit, told, measured, kind, level.over, level.near)
        ]
        quality = await qualities.remembered(unit, told, measured, self.service.settings)
        await unit.apply(changes + quality + await _latest(unit, measured))
        targets = [Target(measured.deployment, measured.model, measured.version, kind) for kind in found]
        return targets + (await qualities.targets(unit, measured) if quality else [])

    async def _decide(self, unit: UnitOfWork, event: Event, targets: Sequence[Target]) -> None:
        settings = self.service.settings
        most = max(LOOKED_BACK, settings.alert_raise_windows, settings.alert_clear_windows)
        for target in targets:
            seen = await self._seen(unit, target, most)
            name = new_id()
            command = Observe(target, seen, settings.alert_raise_windows, settings.alert_clear_windows, name)
            await self._handle(unit, target, command, _context(event, name))

    async def _seen(self, unit: UnitOfWork, target: Target, most: int) -> tuple[Seen, ...]:
        if target.kind in alerts.QUALITY:
            _, state = await self.service.commands.state_in(unit, alerts, target.subject)
            return await qualities.seen(unit, target, state, self.service.settings, most)
        where = equal(deployment=target.deployment, version=target.version, kind=target.kind)
        rows = await unit.find(Query("alert_windows", where, ("-window_start",), most))
        return tuple(map(_seen, rows))

    async def _silence(self, unit: UnitOfWork, event: Event) -> None:
        match event.data:
            case DeploymentSilent() as one:
                silent, start, seconds = True, one.last_heard, one.seconds
            case DeploymentHeard() as one:
                silent, start, seconds = False, one.heard, 0.0
            case _:
                return
        target, name = Target(one.deployment, one.model, one.version, "silence"), new_id()
        command = Silence(target, silent, start, event.time, seconds, name)
        await self._handle(unit, target, command, _context(event, name))

    async def _retired(self, unit: UnitOfWork, event: Event, deployment: str) -> None:
        """Close what is open of a retired deployment."""
        columns = ("deployment", "version", "kind", "window_start")
        query = Query("alert_windows", equal(deployment=deployment), limit=MAX_WINDOWS, columns=columns)
        kinds: set[tuple[int, AlertKind]] = {(one["version"], one["kind"]) for one in await unit.find(query)}
        judged = Query("quality_windows", equal(deployment=deployment), limit=MAX_WINDOWS, columns=("version",))
        versions = {one["version"] for one in await unit.find(judged)}
        kinds |= {(version, kind) for version in versions for kind in alerts.QUALITY}
        row = await unit.get("deployments", deployment)
        champions = {row["traffic"]["champion"]} if row is not None and row["traffic"] else set[int]()
        kinds |= {(version, "silence") for version in champions | {version for version, _ in kinds}}
        for version, kind in sorted(kinds):
            target = Target(deployment, event.data.model, version, kind)  # type: ignore[attr-defined]
            await self._handle(unit, target, Retire(target, event.time), _context(event, new_id()))

    async def _handle(self, unit: UnitOfWork, target: Target, command: Any, context: Context) -> None:
        await self.service.commands.handle_in(unit, alerts, target.subject, command, context)

    async def _deliver(self, unit: UnitOfWork, event: Event) -> None:
        """One delivery for each route that wants this alert. Alerts of long ago (a replay) are delivered no more."""
        alert = event.data
        assert isinstance(alert, AlertRaised | AlertCleared)  # noqa: S101  `handle` lets nothing else through
        age = (now() - (event.recorded or event.time)).total_seconds()
        if age > self.service.settings.alert_stale_seconds:
            return
        routes = await unit.find(Query("alert_routes", limit=MAX_ROUTES))
        changes: list[Change] = []
        for route in routes:
            if _wanted(route, alert) and await unit.get("alert_deliveries", f"{event.id}.{route['route']}") is None:
                changes.append(delivery(event, alert, route, now()))
        await unit.apply(changes)


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings make."""
    psi, auc = settings.drift_psi_threshold, settings.drift_auc_threshold
    return Rules(psi, auc, settings.alert_clear_ratio, settings.alert_kpi_margin)


def delivery(event: Event, alert: AlertRaised | AlertCleared, route: Row, at: datetime) -> Change:
    """A delivery that waits. Its id is the same for the same event and route, whoever writes it, however often."""
    return Put(
        "alert_deliveries",
        {
            "delivery": f"{event.id}.{route['route']}",
            "route": route["route"],
            "alert": alert.alert,
            "event": event.id,
            "deployment": alert.deployment,
            "body": body_of(event, alert, route["format"]),
            "state": "waiting",
            "attempts": 0,
            "next_at": at,
            "created_at": at,
        },
    )


def _locks(event: Event) -> Iterable[str]:
    data = event.data
    if isinstance(data, WindowMeasured | DriftDetected | DeploymentSilent | DeploymentHeard | Retired):
        yield f"monitor.alert/{data.deployment}"


def _context(event: Event, name: str) -> Context:
    return Context(ACTOR, event.time, name, event.correlationid, event.id)


def _seen(row: Row) -> Seen:
    return Seen(row["window_start"], row["window_end"], _findings(row), bool(row["near"]), row["told"] or "")


def _findings(row: Row | None) -> tuple[Finding, ...]:
    return tuple(Finding.model_validate(one) for one in row["over"] or ()) if row is not None else ()


def _runs(events: Sequence[Event]) -> list[list[Event]]:
    """Each event alone, but drifts of one window that follow one another together: they have one effect."""

    def window_of(event: Event) -> tuple[Any, ...]:
        drift = event.data
        if not isinstance(drift, DriftDetected):
            return (event.id,)
        return drift.deployment, drift.version, drift.window_start

    return [list(run) for _, run in groupby(events, window_of)]


async def _drifted(unit: UnitOfWork, events: Sequence[Event]) -> Target:
    """Remember that features drifted in a window."""
    drifts = [event.data for event in events if isinstance(event.data, DriftDetected)]
    first = drifts[0]
    row = await unit.get("alert_windows", first.deployment, first.version, "drift", first.window_start)
    found = {(one.name, one.statistic): one for one in _findings(row)}
    for drift in drifts:
        name = drift.feature, drift.statistic
        found.pop(name, None)
        found[name] = Finding(name=name[0], statistic=name[1], value=drift.value, threshold=drift.threshold)
    await unit.apply(await _window(unit, events[-1].id, first, "drift", tuple(found.values()), True))
    return Target(first.deployment, first.model, first.version, "drift")


async def _window(
    unit: UnitOfWork,
    told: str,
    data: WindowMeasured | DriftDetected,
    kind: AlertKind,
    over: Sequence[Finding],
    near: bool,
) -> list[Change]:
    """The row of a window, where its level changed."""
    key = {"deployment": data.deployment, "version": data.version, "kind": kind, "window_start": data.window_start}
    level = {"over": [one.model_dump(mode="json") for one in over], "near": near}
    before = await unit.get("alert_windows", *key.values())
    if before is not None and all(before[name] == value for name, value in level.items()):
        return []
    return [Put("alert_windows", key | level | {"window_end": data.window_end, "told": told})]


async def _latest(unit: UnitOfWork, measured: WindowMeasured) -> list[Change]:
    row = await unit.get("latest_figures", measured.deployment, measured.version)
    if row is not None and row["window_start"] > measured.window_start:
        return []
    figures = {"window_start": measured.window_start, "measured": measured.model_dump(mode="json")}
    return [Put("latest_figures", {"deployment": measured.deployment, "version": measured.version} | figures)]


def _wanted(route: Row, alert: AlertRaised | AlertCleared) -> bool:
    if route["removed"] or route["sealed"] is None:
        return False
    deployments, kinds = route["deployments"] or [], route["kinds"] or []
    return (not deployments or alert.deployment in deployments) and (not kinds or alert.kind in kinds)
