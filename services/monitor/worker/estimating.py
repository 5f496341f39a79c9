"""What is to be expected of a closed window whose outcomes have yet to come, by what scores meant in windows before."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.monitor.domain.coding import joined_in
from services.monitor.domain.joined import PREDICTED, Floats, Joined, merge_joined, no_joined
from services.monitor.domain.judging import Judge
from services.monitor.domain.quality import calibrates, chances, estimated, estimated_intervals
from services.monitor.domain.quality.intervals import Interval
from services.monitor.domain.window import Window
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Where, equal
from shared.runtime.settings import Settings

REMEMBERED = 1_024
"""Versions whose chances are remembered: 8 KB each."""

MAX_SOURCES = 10_000

Estimate = tuple[Mapping[str, float], Mapping[str, Interval]]
NOTHING: Estimate = ({}, {})


@dataclass(slots=True)
class Estimating:
    """Remembers of each version what its scores mean, until a newer window asks."""

    _chances: OrderedDict[tuple[str, int], tuple[datetime, Floats | None]] = field(
        default_factory=OrderedDict[tuple[str, int], tuple[datetime, Floats | None]]
    )

    async def estimate(
        self, unit: UnitOfWork, settings: Settings, window: Window, judge: Judge, joined: Joined
    ) -> Estimate:
        """(figures, intervals); nothing where outcomes are enough to measure, or past ones too few to go by."""
        if judge.task != "binary":
            return NOTHING
        scores = judge.scores(joined)
        if int(scores.cells[:PREDICTED].sum()) >= settings.quality_cases:
            return NOTHING
        if int(scores.cells[PREDICTED].sum()) < settings.quality_cases:
            return NOTHING
        chance = await self._chance(unit, settings, window, judge)
        if chance is None:
            return NOTHING
        return estimated(scores, chance, judge.threshold), estimated_intervals(scores, chance, judge.threshold)

    async def _chance(self, unit: UnitOfWork, settings: Settings, window: Window, judge: Judge) -> Floats | None:
        key = window.deployment, window.version
        kept = self._chances.get(key)
        if kept is None or kept[0] < window.start:
            past = judge.scores(await _past(unit, settings.quality_past_windows, window))
            kept = window.start, chances(past) if calibrates(past) else None
            self._chances[key] = kept
            while len(self._chances) > REMEMBERED:
                self._chances.popitem(last=False)
        return kept[1]


async def _past(unit: UnitOfWork, windows: int, window: Window) -> Joined:
    """Scores and outcomes of the version's latest windows that have enough outcomes."""
    of = equal(deployment=window.deployment, version=window.version)
    known = Query(
        "quality_windows", (*of, Where("cases", "!=", None)), ("-window_start",), windows, columns=("window_start",)
    )
    starts = [row["window_start"] for row in await unit.find(known)]
    found = no_joined()
    if not starts:
        return found
    where = (*of, Where("window_start", "in", starts))
    for row in await unit.find(Query("window_states", where, limit=MAX_SOURCES, columns=("state",))):
        found = merge_joined(found, joined_in(row["state"]))
    return found
