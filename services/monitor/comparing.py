"""Windows against what they are compared with, by the settings of a process, and as the API answers it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

from threadpoolctl import ThreadpoolController

from services.monitor.domain.bins import Bins
from services.monitor.domain.drift import Base, FeatureDrift, Rule, drift, groups
from services.monitor.domain.integrity import Check, Limits, new_values
from services.monitor.domain.multivariate import Multivariate, domain_classifier
from services.monitor.domain.rows import Rows
from services.monitor.domain.sketch import Sketch
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.settings import Settings

DAY = timedelta(days=1)
DAYS = 7
WEEKS = 4
SOURCES = 10_000
_LIBRARIES = ThreadpoolController()


class Finder(Protocol):
    """What a store and a unit of work have in common."""

    @property
    def find(self) -> Callable[[Query], Awaitable[list[Row]]]: ...


def rule_of(settings: Settings) -> Rule:
    """When a feature has drifted."""
    thresholds = {
        "psi": settings.drift_psi_threshold,
        "jensen_shannon": settings.drift_jensen_shannon_threshold,
        "ks": settings.drift_ks_threshold,
        "wasserstein_normed": settings.drift_wasserstein_threshold,
    }
    return Rule({name: value for name, value in thresholds.items() if value is not None}, settings.drift_level)


def limits_of(settings: Settings) -> Limits:
    """When data breach."""
    return Limits(
        settings.integrity_outside,
        settings.integrity_missing,
        settings.integrity_new_categories,
        settings.integrity_duplicates,
        settings.integrity_traffic,
    )


def same_hours(start: datetime, length: timedelta) -> list[datetime]:
    """Starts of windows before that cover the same hours: those of days before and, since weeks have a shape, of the
    same day of weeks before; of windows of a day or more only the latter."""
    days = [start - place * DAY for place in range(1, DAYS + 1)] if length < DAY else []
    weeks = [start - 7 * place * DAY for place in range(1, WEEKS + 1)]
    return sorted({*days, *weeks})


async def traffic_of(finder: Finder, deployment: str, start: datetime, length: timedelta) -> tuple[list[int], int]:
    """(rows of the same hours before, rows of this window), of all versions of the deployment."""
    starts = [*same_hours(start, length), start]
    where = (*equal(deployment=deployment), Where("window_start", "in", starts))
    found = await finder.find(Query("window_states", where, limit=SOURCES, columns=("window_start", "predictions")))
    totals: dict[datetime, int] = {}
    for row in found:
        totals[row["window_start"]] = totals.get(row["window_start"], 0) + (row["predictions"] or 0)
    now = totals.pop(start, 0)
    return [rows for _, rows in sorted(totals.items()) if rows], now


def drift_items(
    now: Sketch, bins: Bins, base: Base, rule: Rule, outputs: bool = False, with_groups: bool = False
) -> list[dict[str, Any]]:
    """One item per feature that both have."""
    items = [_item(one, now, base.sketch, rule) for one in drift(now, bins, base, outputs)]
    if with_groups:
        found = groups(now, bins, base.sketch, base.bins, outputs)
        for item in items:
            item["groups"] = [asdict(one) for one in found[item["feature"]]]
    return items


async def together(now: Rows, base: Rows) -> Multivariate | None:
    """Drift of all features, in a thread. Matrices this small are slower by several threads than by one."""
    return await asyncio.to_thread(_together, now, base)


def _together(now: Rows, base: Rows) -> Multivariate | None:
    with _LIBRARIES.limit(limits=1, user_api="blas"):
        return domain_classifier(now, base)


def multivariate_item(found: Multivariate | None, threshold: float, level: float) -> dict[str, Any] | None:
    """All features together; None where too little is known."""
    if found is None:
        return None
    drifted = found.auc >= threshold and found.p_value <= level
    return {**asdict(found), "told_by": dict(found.told_by), "threshold": threshold, "drifted": drifted}


def integrity_items(found: Sequence[Check]) -> list[dict[str, Any]]:
    """One item per check that found anything."""
    return [asdict(one) for one in found]


def _item(one: FeatureDrift, now: Sketch, base: Sketch, rule: Rule) -> dict[str, Any]:
    reached = rule.reached(one)
    item: dict[str, Any] = {
        **asdict(one),
        "threshold": rule.thresholds.get("psi"),
        "thresholds": dict(rule.thresholds),
        "level": rule.level,
        "drifted": reached is not None,
        "reached_by": None if reached is None else reached[0],
    }
    if one.kind == "categorical":
        new = new_values(now, one.feature, base.categories[one.feature]) if one.new else []
        item["new_values"] = [{"value": name, "rows": rows} for name, rows in new]
    return item
