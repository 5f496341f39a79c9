"""Quality of windows for alerts: what each window's outcomes said, and what was expected of it before they came.

Kept are the figures, each window's own. What they compare with is looked up when it is decided, so that the view is the
same for any order of windows.
"""

from collections.abc import Sequence
from typing import Any

from services.monitor.domain.alerts import MEASURED, QUALITY, Seen, State, Target, counts
from services.monitor.domain.declines import (
    FIGURES,
    Told,
    Tolerance,
    bases_of,
    declined,
    estimated_quality,
    measured_quality,
)
from services.monitor.facts import Judged
from shared.events.monitor import WindowMeasured
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, Where, equal
from shared.runtime.settings import BadSetting, Settings

_NONE = {"cases": None, "figures": None, "intervals": None}


def tolerance_of(settings: Settings) -> Tolerance:
    """How much worse quality may be, by the settings. Raises BadSetting for a bound of what is no figure."""
    unknown = sorted(settings.quality_bounds.keys() - FIGURES)
    if unknown:
        known = ", ".join(sorted(FIGURES))
        raise BadSetting(f"MUNIMENT_QUALITY_BOUNDS names {', '.join(unknown)}, which is no figure of quality: {known}")
    return Tolerance(
        settings.quality_fall,
        settings.quality_growth,
        settings.alert_clear_ratio,
        settings.alert_kpi_margin,
        settings.quality_bounds,
    )


async def remembered(unit: UnitOfWork, event: str, measured: WindowMeasured, settings: Settings) -> list[Change]:
    """The row of a window, where its figures changed. What was expected of it stays when outcomes come."""
    key = {name: getattr(measured, name) for name in ("deployment", "version", "window_start")}
    before = await unit.get("quality_windows", *key.values())
    now, expected = measured_quality(measured, settings.quality_cases), estimated_quality(measured)
    row: dict[str, Any] = {**_NONE, **(_columns(now) if now is not None else {})}
    if expected is not None:
        row |= {"expected": _columns(expected)}
    if before is None and now is None and expected is None:
        return []
    if before is not None and all(before[name] == value for name, value in row.items()):
        return []
    return [Put("quality_windows", key | row | {"window_end": measured.window_end, "told": event})]


async def targets(unit: UnitOfWork, measured: WindowMeasured) -> list[Target]:
    """What a window's quality may raise or clear alerts of: its version, and those that are compared with it."""
    row = await unit.get("deployments", measured.deployment)
    traffic = (row["traffic"] if row is not None else None) or {}
    versions = [measured.version]
    if traffic.get("champion") == measured.version:
        versions += [one["version"] for one in traffic["challengers"]] + list(traffic["shadows"])
    return [
        Target(measured.deployment, measured.model, version, kind)
        for version in dict.fromkeys(versions)
        for kind in QUALITY
    ]


async def seen(unit: UnitOfWork, target: Target, state: State, settings: Settings, most: int) -> tuple[Seen, ...]:
    """The newest windows that tell of the target, the newest first, up to one that does not count."""
    judged = (Where("cases", "!=", None),)
    length = most + settings.quality_past_windows
    if target.kind == MEASURED:
        past = await _rows(unit, target, target.version, judged, length)
        rows = past[:most]
    else:
        rows = await _rows(unit, target, target.version, (Where("expected", "!=", None),), most)
        earlier = (*judged, Where("window_start", "<", rows[0]["window_start"])) if rows else ()
        past = await _rows(unit, target, target.version, earlier, length) if rows else []
    if not rows:
        return ()
    registered, champions = await _registered(unit, target), await _champions(unit, target, rows)
    judgements = [(one["window_start"], _told(one)) for one in past]
    tolerance = tolerance_of(settings)
    found: list[Seen] = []
    for row in rows:
        before = [told for start, told in judgements if start < row["window_start"]]
        champion = champions.get(row["window_start"])
        now = _told(row) if row["cases"] is not None else _told(row["expected"], estimated=True)
        like = champion if champion is not None and not now.estimated else None
        bases = bases_of(registered, before[: settings.quality_past_windows], like)
        level = declined(now, bases, tolerance)
        if level is not None:
            found.append(Seen(row["window_start"], row["window_end"], level.over, level.near, row["told"]))
            if not counts(state, found[-1]):
                break
    return tuple(found)


async def _rows(unit: UnitOfWork, target: Target, version: int, where: tuple[Where, ...], most: int) -> Sequence[Row]:
    of = equal(deployment=target.deployment, version=version)
    return await unit.find(Query("quality_windows", (*of, *where), ("-window_start",), most))


async def _registered(unit: UnitOfWork, target: Target) -> dict[str, float]:
    where = equal(model=target.model, version=target.version)
    rows = await unit.find(Query("versions", where, limit=1, columns=("judged",)))
    return Judged.model_validate(rows[0]["judged"] or {}).metrics if rows else {}


async def _champions(unit: UnitOfWork, target: Target, rows: Sequence[Row]) -> dict[Any, Told]:
    """The champion's quality of the same windows; none where the target is the champion."""
    row = await unit.get("deployments", target.deployment)
    champion = row["traffic"]["champion"] if row is not None and row["traffic"] else target.version
    if champion == target.version:
        return {}
    same = (Where("cases", "!=", None), Where("window_start", "in", [one["window_start"] for one in rows]))
    return {one["window_start"]: _told(one) for one in await _rows(unit, target, champion, same, len(rows))}


def _columns(told: Told) -> dict[str, Any]:
    intervals = {name: list(ends) for name, ends in told.intervals.items()}
    return {"cases": told.cases, "figures": dict(told.figures), "intervals": intervals}


def _told(kept: Row, estimated: bool = False) -> Told:
    return Told(kept["cases"], kept["figures"], kept["intervals"], estimated)
