"""Closed windows are measured, and measured again when something came late; one worker at a time does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.monitor.comparing import rule_of
from services.monitor.domain import window as windows
from services.monitor.domain.coding import decode
from services.monitor.domain.judging import Judge
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from services.monitor.domain.window import Measure, Window
from services.monitor.facts import Facts, kpis_of
from services.monitor.projection import DIRTY
from services.monitor.worker.inputs import inputs_of
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.log.records import TopicPartition
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Delete, Query, Row, cursor_of, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

CONSUMER = "monitor.predictions"
PART = 500
PARTS = 20
MAX_SOURCES = 10_000
ACTOR = "monitor"

_Key = tuple[str, int, datetime]


@dataclass(slots=True)
class Measuring:
    """Goes through the windows that changed, at most PART * PARTS changes each time."""

    service: Service
    facts: Facts

    async def run(self) -> None:
        """Measure every closed window that changed since it was measured last."""
        after: tuple[Any, ...] | None = None
        for _ in range(PARTS):
            async with self.service.store.begin() as unit:
                await unit.lock(["monitor.measure"])
                rows = await unit.find(Query("window_changes", limit=PART, after=after))
                await self._part(unit, rows)
            if len(rows) < PART:
                return
            after = cursor_of(DIRTY, Query("window_changes"), rows[-1])

    async def _part(self, unit: UnitOfWork, rows: Sequence[Row]) -> None:
        by_window: dict[_Key, list[Row]] = {}
        for row in rows:
            by_window.setdefault((row["deployment"], row["version"], row["window_start"]), []).append(row)
        marks = await self._watermarks(unit, {row["deployment"] for row in rows})
        lateness = timedelta(seconds=self.service.settings.window_lateness_seconds)
        for changed in by_window.values():
            mark = marks.get(changed[0]["deployment"])
            if mark is not None and changed[0]["window_end"] + lateness <= mark:
                await self._measure(unit, changed[0], mark)
                await unit.apply([_handled(row) for row in changed])
            else:
                await unit.apply([_handled(row) for row in _superseded(changed)])

    async def _watermarks(self, unit: UnitOfWork, deployments: set[str]) -> dict[str, datetime]:
        """How far event time has come for each deployment, as far as this service has read.

        The latest time of all partitions; a partition that is not read to its end holds it back at its own.
        """
        behind = await self._behind()
        marks: dict[str, datetime] = {}
        for deployment in deployments:
            rows = await unit.find(Query("watermarks", equal(deployment=deployment), limit=MAX_SOURCES))
            if rows:
                held = [row["at"] for row in rows if TopicPartition(row["topic"], row["partition"]) in behind]
                marks[deployment] = min([max(row["at"] for row in rows), *held])
        return marks

    async def _behind(self) -> set[TopicPartition]:
        kept = await self.service.store.offsets()
        bounds = await self.service.log.bounds([TOPIC_PREDICTIONS])
        return {place for place, bound in bounds.items() if kept.get((CONSUMER, place), 0) < bound.end}

    async def _measure(self, unit: UnitOfWork, row: Row, mark: datetime) -> None:
        window = Window(row["deployment"], row["model"], row["version"], row["window_start"], row["window_end"])
        key = equal(deployment=window.deployment, version=window.version, window_start=window.start)
        sources = await unit.find(Query("window_states", key, limit=MAX_SOURCES))
        command = await self._command(unit, window, merged(sources))
        if command is not None:
            context = Context(ACTOR, min(max(mark, window.end), now()), new_id())
            await self.service.commands.handle_in(unit, windows, window.subject, command, context)

    async def _command(self, unit: UnitOfWork, window: Window, sketch: Sketch) -> Measure | None:
        version = await self.facts.version(unit, window.model, window.version)
        if version is None:
            return None
        kpis = await kpis_of(unit, window.model)
        judge = Judge.of(version.plan(), kpis, version.judged.metrics, sketch.joined)
        judged = judge.quality(sketch.joined)
        settings = self.service.settings
        inputs = await inputs_of(unit, settings, window, sketch, version)
        return Measure(
            window,
            sketch.predictions,
            sketch.joined.outcomes,
            inputs.drift,
            dict(judged.figures),
            tuple(judge.values(sketch.joined)),
            tuple(kpis),
            judged=judged,
            rule=rule_of(settings),
            multivariate=inputs.multivariate,
            auc_threshold=settings.drift_auc_threshold,
            integrity=inputs.integrity,
        )


def merged(rows: Sequence[Row]) -> Sketch:
    """The states of several sources, or of several windows, together."""
    sketch = EMPTY
    for row in sorted(rows, key=lambda one: (one["window_start"], one["topic"], one["partition"])):
        sketch = merge(sketch, decode(row["state"]))
    return sketch


def _handled(row: Row) -> Change:
    return Delete("window_changes", {name: row[name] for name in DIRTY.key})


def _superseded(rows: Sequence[Row]) -> list[Row]:
    """All but the last change of each source: of an open window one will do."""
    last: dict[tuple[str, int], Row] = {}
    for row in rows:
        source = (row["topic"], row["partition"])
        if source not in last or row["stamp"] > last[source]["stamp"]:
            last[source] = row
    return [row for row in rows if row is not last[row["topic"], row["partition"]]]
