"""Figures of windows, merged over the sources of each at the moment of reading."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from services.monitor.domain.coding import decode
from services.monitor.domain.drift import FeatureDrift, drift
from services.monitor.domain.kpi import Kpi, score_column, threshold_of, value
from services.monitor.domain.quality import calibration, quality
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from services.monitor.domain.window import drifted
from services.monitor.facts import Facts, Version, kpis_of
from shared.log.store import Store
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.problems import not_found

PART = 200
SOURCES = 10_000


@dataclass(frozen=True, slots=True)
class Span:
    """Which windows: of a deployment, of one version or all, that start within [since, until)."""

    deployment: str
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> tuple[Where, ...]:
        found = list(equal(deployment=self.deployment))
        if self.version is not None:
            found.append(Where("version", "=", self.version))
        if self.since is not None:
            found.append(Where("window_start", ">=", self.since))
        if self.until is not None:
            found.append(Where("window_start", "<", self.until))
        return tuple(found)


@dataclass(slots=True)
class Reading:
    """Reads the figures of one deployment."""

    store: Store
    facts: Facts
    psi_threshold: float

    async def deployment(self, name: str) -> Row:
        """The deployment. Raises Problem 404 with what exists nearby."""
        row = await self.store.get("deployments", name)
        if row is None:
            rows = await self.store.find(Query("deployments", limit=1_000, columns=("deployment",)))
            not_found("deployment", name, [one["deployment"] for one in rows])
        return row

    async def windows(self, span: Span, limit: int) -> tuple[list[dict[str, Any]], datetime | None]:
        """(items of the first windows of the span, the start from which to go on, if there are more)."""
        order = ("window_start", "version")
        keys = ("deployment", "version", "window_start", "topic", "partition")
        rows = await self.store.find(Query("window_states", span.where(), order, SOURCES, columns=keys))
        starts = sorted({row["window_start"] for row in rows})
        if len(rows) == SOURCES and len(starts) > 1:
            starts = starts[:-1]  # its last sources may have been cut off
        shown = starts[:limit]
        if not shown:
            return [], None
        following = (
            starts[limit] if len(starts) > limit else (None if len(rows) < SOURCES else rows[-1]["window_start"])
        )
        until = following or span.until
        chosen = Span(span.deployment, span.version, shown[0], until)
        model = (await self.deployment(span.deployment))["model"]
        kpis = await kpis_of(self.store, model)
        return [await self._item(key, sketch, kpis) async for key, sketch in self._merged(chosen)], following

    async def total(self, span: Span) -> dict[int, Sketch]:
        """All windows of the span together, by version."""
        totals: dict[int, Sketch] = {}
        async for key, sketch in self._merged(span):
            totals[key["version"]] = merge(totals.get(key["version"], EMPTY), sketch)
        return dict(sorted(totals.items()))

    async def version(self, model: str, number: int) -> Version | None:
        """A registered version."""
        return await self.facts.version(self.store, model, number)

    def drift(self, sketch: Sketch, version: Version | None) -> list[dict[str, Any]]:
        """One item per feature that has a reference."""
        found = drift(sketch, version.bins) if version is not None else []
        return [self._drift(one) for one in found]

    def _drift(self, one: FeatureDrift) -> dict[str, Any]:
        return {
            "feature": one.feature,
            "kind": one.kind,
            "psi": one.psi,
            "rows": one.rows,
            "threshold": self.psi_threshold,
            "drifted": drifted(one, self.psi_threshold),
        }

    async def _merged(self, span: Span) -> AsyncIterator[tuple[Row, Sketch]]:
        """Each window with its sources merged, in the order of start and version."""
        held: tuple[Row, Sketch] | None = None
        query = Query("window_states", span.where(), ("window_start", "version"), PART)
        while True:
            rows = await self.store.find(query)
            for _, group in groupby(rows, lambda row: (row["window_start"], row["version"])):
                for row in group:
                    if held is not None and _same(held[0], row):
                        held = row, merge(held[1], decode(row["state"]))
                        continue
                    if held is not None:
                        yield held
                    held = row, decode(row["state"])
            if len(rows) < PART:
                break
            last = rows[-1]
            query = Query(query.table, query.where, query.order, PART, after=_after(last))
        if held is not None:
            yield held

    async def _item(self, key: Row, sketch: Sketch, kpis: list[Kpi]) -> dict[str, Any]:
        version = await self.version(key["model"], key["version"])
        closed = await self.store.get("measured_windows", key["deployment"], key["version"], key["window_start"])
        column = score_column(kpis, (version.scores if version else ()) or sketch.joined.names)
        return {
            "version": key["version"],
            "window_start": key["window_start"],
            "window_end": key["window_end"],
            "closed": closed is not None,
            "revision": closed["revision"] if closed else None,
            "predictions": sketch.predictions,
            "outcomes": sketch.joined.outcomes,
            "quality": quality(sketch.joined, column, threshold_of(kpis))
            | {"calibration": calibration(sketch.joined, column)},
            "kpis": [item for kpi in kpis if (item := kpi_item(kpi, sketch, column)) is not None],
            "drift": self.drift(sketch, version),
        }


def kpi_item(kpi: Kpi, sketch: Sketch, column: str | None) -> dict[str, Any] | None:
    """A KPI of these windows, with its target."""
    found = value(kpi, sketch.joined, column)
    if found is None:
        return None
    return {
        "kpi": found.kpi,
        "unit": found.unit,
        "total": found.total,
        "cases": found.cases,
        "per_case": found.per_case,
        "direction": kpi.direction,
        "target": kpi.target,
        "met": None if kpi.target is None else not kpi.breached(found.per_case),
    }


def _same(left: Row, right: Row) -> bool:
    return left["window_start"] == right["window_start"] and left["version"] == right["version"]


def _after(row: Row) -> tuple[Any, ...]:
    key = ("deployment", "version", "window_start", "topic", "partition")
    return (row["window_start"], row["version"], *(row[name] for name in key))
