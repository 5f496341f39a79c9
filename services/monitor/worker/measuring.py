"""Closed windows are measured, and measured again when something came late; one worker at a time does it.

A job of our own, not a hook of whatever carries the records: it looks at what the views hold, so restarts, rebuilds and
other workers need no notice. What is stated is decided on the window's own stream, so a window closes once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.monitor.comparing import rule_of
from services.monitor.domain import window as windows
from services.monitor.domain.closing import By, Closing, Mark, passed, reached
from services.monitor.domain.coding import decode
from services.monitor.domain.fairness import measured
from services.monitor.domain.judging import Judge
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from services.monitor.domain.window import Measure, Window
from services.monitor.facts import Facts, kpis_of
from services.monitor.projection import DIRTY
from services.monitor.worker.counted import Counted
from services.monitor.worker.estimating import Estimating
from services.monitor.worker.inputs import Compared
from services.monitor.worker.states import mark_of
from shared.events.catalog import TOPIC_OUTCOMES, TOPIC_PREDICTIONS
from shared.log.records import TopicPartition
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Delete, Query, Row, Where, cursor_of, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

CONSUMER = "monitor.predictions"
PART = 500
PARTS = 20
MAX_SOURCES = 10_000
ACTOR = "monitor"

_Key = tuple[str, int, datetime]


@dataclass(frozen=True, slots=True)
class _Heard:
    """Of one deployment: how far event time has come, and when the log took its last prediction."""

    reached: datetime | None
    heard: datetime | None


@dataclass(slots=True)
class Measuring:
    """Goes through the windows that changed, at most PART * PARTS changes each time."""

    service: Service
    facts: Facts
    clock: Callable[[], datetime] = now
    _counted: Counted = field(default_factory=Counted)
    _compared: Compared = field(default_factory=Compared)
    _estimating: Estimating = field(default_factory=Estimating)

    async def run(self) -> None:
        """Measure every closed window that changed since it was measured last."""
        after: tuple[Any, ...] | None = None
        for _ in range(PARTS):
            async with self.service.store.begin() as unit:
                await unit.lock(["monitor.measure"])
                rows = await unit.find(Query("window_changes", limit=PART, after=after))
                if rows:
                    await self._part(unit, rows)
            if len(rows) < PART:
                return
            after = cursor_of(DIRTY, Query("window_changes"), rows[-1])

    async def _part(self, unit: UnitOfWork, rows: Sequence[Row]) -> None:
        by_window: dict[_Key, list[Row]] = {}
        for row in rows:
            by_window.setdefault((row["deployment"], row["version"], row["window_start"]), []).append(row)
        behind, counted = await self._progress()
        heard = await self._heard(unit, {row["deployment"] for row in rows}, behind, counted)
        for changed in by_window.values():
            last = heard.get(changed[0]["deployment"])
            by = await self._closed_by(unit, changed[0], last, counted)
            if by is None:
                await unit.apply([_handled(row) for row in _superseded(changed)])
                continue
            at = counted if by == "clock" or last is None else last.reached
            await self._measure(unit, changed[0], at or self.clock())
            await unit.apply([_handled(row) for row in changed])

    async def _closed_by(self, unit: UnitOfWork, row: Row, last: _Heard | None, counted: datetime | None) -> By | None:
        """What closes the window of this change; the window's own sources are only read where the clock might."""
        settings, end = self.service.settings, row["window_end"]
        seconds = settings.window_lateness_seconds, settings.window_grace_seconds, settings.window_idle_seconds
        closing = Closing(*(timedelta(seconds=one) for one in seconds))
        reached, heard = (last.reached, last.heard) if last is not None else (None, None)
        by = closing.by(end, reached, None, None, None)
        if by is not None or counted is None or counted < closing.due(end):
            return by
        query = Query("window_states", _key_of(row), limit=MAX_SOURCES, columns=("since", "until"))
        sources = await unit.find(query)
        since = min((one["since"] for one in sources if one["since"] is not None), default=None)
        heard = max((one for one in (heard, *(one["until"] for one in sources)) if one is not None), default=None)
        return closing.by(end, reached, since, heard, counted)

    async def _heard(
        self, unit: UnitOfWork, deployments: set[str], behind: set[TopicPartition], counted: datetime | None
    ) -> dict[str, _Heard]:
        """How far event time has come for each deployment, as far as this service has read."""
        marks: dict[str, dict[TopicPartition, Mark]] = {}
        last: dict[TopicPartition, datetime] = {}
        for deployment in deployments:
            rows = await unit.find(Query("watermarks", equal(deployment=deployment), limit=MAX_SOURCES))
            for row in rows:
                place, mark = TopicPartition(row["topic"], row["partition"]), mark_of(row)
                marks.setdefault(deployment, {})[place] = mark
                if mark.heard is not None:
                    last[place] = max(mark.heard, last.get(place, mark.heard))
        until = passed(last, behind, counted)
        return {
            deployment: _Heard(
                reached(mine, behind, until), max((one.heard for one in mine.values() if one.heard), default=None)
            )
            for deployment, mine in marks.items()
        }

    async def _progress(self) -> tuple[set[TopicPartition], datetime | None]:
        """The partitions of predictions that are not read to their end, and up to when all input is counted.

        Asked while the changes of a unit of work are held, so that no rebuild can begin between the answer and them.
        """
        at = self.clock()
        bounds = await self.service.log.bounds([TOPIC_PREDICTIONS, TOPIC_OUTCOMES])
        offsets = await self.service.store.offsets()
        kept = {place: offset for (consumer, place), offset in offsets.items() if consumer == CONSUMER}
        ends = {place: bound.end for place, bound in bounds.items()}
        behind = {place for place, end in ends.items() if place.topic == TOPIC_PREDICTIONS and kept.get(place, 0) < end}
        return behind, self._counted.until(at, ends, kept)

    async def _measure(self, unit: UnitOfWork, row: Row, at: datetime) -> None:
        window = Window(row["deployment"], row["model"], row["version"], row["window_start"], row["window_end"])
        sources = await unit.find(Query("window_states", _key_of(row), limit=MAX_SOURCES))
        command = await self._command(unit, window, merged(sources))
        if command is not None:
            context = Context(ACTOR, min(max(at, window.end), self.clock()), new_id())
            await self.service.commands.handle_in(unit, windows, window.subject, command, context)

    async def _command(self, unit: UnitOfWork, window: Window, sketch: Sketch) -> Measure | None:
        version = await self.facts.version(unit, window.model, window.version)
        if version is None:
            return None
        kpis = await kpis_of(unit, window.model)
        judge = Judge.of(version.plan(), kpis, version.judged.metrics, sketch.joined)
        judged = judge.quality(sketch.joined)
        fairness = tuple(measured(one, judge.groups(one, sketch.joined)) for one in version.judged.protected)
        settings = self.service.settings
        inputs = await self._compared.inputs(unit, settings, window, sketch, version)
        expected, intervals = await self._estimating.estimate(unit, settings, window, judge, sketch.joined)
        return Measure(
            window,
            sketch.predictions,
            sketch.joined.outcomes,
            inputs.drift,
            dict(judged.figures),
            tuple(judge.values(sketch.joined)),
            tuple(kpis),
            judged=judged,
            fairness=fairness,
            rule=rule_of(settings),
            multivariate=inputs.multivariate,
            auc_threshold=settings.drift_auc_threshold,
            integrity=inputs.integrity,
            estimated=expected,
            estimated_intervals=intervals,
        )


def merged(rows: Sequence[Row]) -> Sketch:
    """The states of several sources, or of several windows, together."""
    sketch = EMPTY
    for row in sorted(rows, key=lambda one: (one["window_start"], one["topic"], one["partition"])):
        sketch = merge(sketch, decode(row["state"]))
    return sketch


def _key_of(row: Row) -> tuple[Where, ...]:
    return equal(deployment=row["deployment"], version=row["version"], window_start=row["window_start"])


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
