"""Figures of windows, merged over the sources of each at the moment of reading."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from services.monitor.comparing import drift_items, integrity_items, limits_of, rule_of
from services.monitor.domain.coding import decode, joined_in
from services.monitor.domain.drift import Base, Rule
from services.monitor.domain.integrity import Limits, checks
from services.monitor.domain.joined import Joined, merge_joined, no_joined
from services.monitor.domain.judging import Judge
from services.monitor.domain.kpi import Kpi
from services.monitor.domain.plan import Plan
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from services.monitor.facts import Facts, Version, kpis_of
from services.monitor.showing import awaits_outcomes, estimate_of, kpi_of, quality_of
from services.monitor.span import Span
from shared.log.store import Store
from shared.log.tables import Query, Row, equal
from shared.runtime.problems import not_found
from shared.runtime.service import Service

PART = 200
_STARTS = ("window_start", "window_start")
SOURCES = 10_000
CALIBRATION = 500


_SCORED = ("deployment", "version", "window_start", "topic", "partition", "predictions", "state")


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions, and what is known of their scores and outcomes."""

    predictions: int
    joined: Joined


NOTHING = Scored(0, no_joined())


@dataclass(slots=True)
class Reading:
    """Reads the figures of one deployment."""

    store: Store
    facts: Facts
    rule: Rule
    limits: Limits

    @classmethod
    def of(cls, service: Service, facts: Facts) -> "Reading":
        """With the thresholds of a process."""
        return cls(service.store, facts, rule_of(service.settings), limits_of(service.settings))

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
        rows = await self.store.find(Query("window_states", span.where(*_STARTS), order, SOURCES, columns=keys))
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
        past: dict[int, Joined] = {}
        return [await self._item(key, sketch, kpis, past) async for key, sketch in self._merged(chosen)], following

    async def total(self, span: Span) -> dict[int, Sketch]:
        """All windows of the span together, by version."""
        totals: dict[int, Sketch] = {}
        async for key, sketch in self._merged(span):
            totals[key["version"]] = merge(totals.get(key["version"], EMPTY), sketch)
        return dict(sorted(totals.items()))

    async def known_outcomes(self, deployment: str, version: int) -> Joined:
        """Scores and outcomes of the version's latest windows, as many as CALIBRATION states hold."""
        where = equal(deployment=deployment, version=version)
        query = Query("window_states", where, ("-window_start",), CALIBRATION, columns=("window_start", "state"))
        found = no_joined()
        for row in await self.store.find(query):
            found = merge_joined(found, joined_in(row["state"]))
        return found

    async def scores(self, span: Span) -> dict[int, Scored]:
        """Scores and outcomes of all windows of the span together, by version."""
        found: dict[int, Scored] = {}
        query = Query(
            "window_states",
            span.where(*_STARTS),
            ("window_start", "version"),
            PART,
            columns=_SCORED,
        )
        while True:
            rows = await self.store.find(query)
            for row in rows:
                have = found.get(row["version"], NOTHING)
                joined = merge_joined(have.joined, joined_in(row["state"]))
                found[row["version"]] = Scored(have.predictions + (row["predictions"] or 0), joined)
            if len(rows) < PART:
                return dict(sorted(found.items()))
            query = replace(query, after=_after(rows[-1]))

    async def version(self, model: str, number: int) -> Version | None:
        """A registered version."""
        return await self.facts.version(self.store, model, number)

    def drift(self, sketch: Sketch, version: Version | None) -> list[dict[str, Any]]:
        """One item per feature that has a reference."""
        if version is None:
            return []
        return drift_items(sketch, version.bins, Base(version.reference, version.bins), self.rule)

    async def starts(self, deployment: str, version: int) -> list[datetime]:
        """When the latest windows of a version began."""
        where = equal(deployment=deployment, version=version)
        query = Query("window_states", where, ("-window_start",), PART, columns=("window_start",))
        return sorted({row["window_start"] for row in await self.store.find(query)})

    async def inputs(self, key: Row, sketch: Sketch, version: Version | None) -> dict[str, Any]:
        """What is told of a window's inputs: as stated once it is closed, else as far as it is known."""
        stated = await self.store.get("window_inputs", key["deployment"], key["version"], key["window_start"])
        if stated is not None:
            return {"multivariate": stated["multivariate"], "integrity": stated["integrity"]}
        found = [] if version is None else checks(sketch, version.reference, version.bins, self.limits)
        return {"multivariate": None, "integrity": integrity_items(found)}

    async def _merged(self, span: Span) -> AsyncIterator[tuple[Row, Sketch]]:
        """Each window with its sources merged, in the order of start and version."""
        held: tuple[Row, Sketch] | None = None
        query = Query("window_states", span.where(*_STARTS), ("window_start", "version"), PART)
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

    async def _item(self, key: Row, sketch: Sketch, kpis: list[Kpi], past: dict[int, Joined]) -> dict[str, Any]:
        """`past`: the known outcomes of versions, read where an estimate needs them and kept for the next item."""
        version = await self.version(key["model"], key["version"])
        closed = await self.store.get("measured_windows", key["deployment"], key["version"], key["window_start"])
        judge = judge_of(version, kpis, sketch.joined)
        told = quality_of(judge, sketch.joined)
        return {
            "version": key["version"],
            "window_start": key["window_start"],
            "window_end": key["window_end"],
            "closed": closed is not None,
            "revision": closed["revision"] if closed else None,
            "predictions": sketch.predictions,
            "outcomes": sketch.joined.outcomes,
            **{name: told[name] for name in ("task", "invalid", "unscored", "quality", "intervals", "bounds")},
            "estimated": await self._estimated(key, judge, sketch.joined, past),
            "kpis": [item for kpi in kpis if (item := kpi_of(judge, kpi, sketch.joined)) is not None],
            "drift": self.drift(sketch, version),
            **await self.inputs(key, sketch, version),
        }

    async def _estimated(
        self, key: Row, judge: Judge, joined: Joined, past: dict[int, Joined]
    ) -> dict[str, Any] | None:
        number = key["version"]
        if not awaits_outcomes(judge, joined):
            return None
        if number not in past:
            past[number] = await self.known_outcomes(key["deployment"], number)
        return estimate_of(judge, joined, past[number])


def judge_of(version: Version | None, kpis: Sequence[Kpi], joined: Joined) -> Judge:
    """How predictions of a version are judged; of one that is not known as if nothing was registered."""
    if version is None:
        return Judge.of(Plan(), kpis, {}, joined)
    return Judge.of(version.plan(), kpis, version.judged.metrics, joined)


def _same(left: Row, right: Row) -> bool:
    return left["window_start"] == right["window_start"] and left["version"] == right["version"]


def _after(row: Row) -> tuple[Any, ...]:
    key = ("deployment", "version", "window_start", "topic", "partition")
    return (row["window_start"], row["version"], *(row[name] for name in key))
