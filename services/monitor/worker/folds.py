"""Batches of predictions into the states of their windows: pure, so that it may be done beside the loop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import TypeVar

import pyarrow as pa

from services.monitor.domain.counting import predicted_of
from services.monitor.domain.folding import alike, by_window, sketch_of
from services.monitor.domain.joined import merge_joined
from services.monitor.domain.parts import Parts
from services.monitor.domain.plan import Plan
from services.monitor.domain.sketch import Sketch
from services.monitor.facts import Version
from shared.events import batches
from shared.runtime.predictions import Target
from shared.runtime.settings import Settings

ASIDE_ROWS = 2_000
"""From so many rows on, work on them takes longer than the way to a thread and back, by far."""

T = TypeVar("T")
Tables = list[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows of a batch that are new, and when the log took it."""

    target: Target
    version: Version
    rows: pa.RecordBatch
    recorded: datetime


@dataclass(frozen=True, slots=True)
class Folded:
    """What batches add to the window that starts at so many microseconds since 1970; when the log took the first and
    the last of them."""

    target: Target
    start: int
    sketch: Sketch
    first: datetime
    last: datetime


async def aside(rows: int, work: Callable[[], T]) -> T:
    """Do work on so many rows: on many of them in a thread, so that meanwhile the next are fetched and other
    partitions have their turn."""
    return await asyncio.to_thread(work) if rows >= ASIDE_ROWS else work()


def folded(taken: Sequence[Taken], settings: Settings) -> list[Folded]:
    """The windows of these batches. What belongs to one window is folded together, which costs less than one by one."""
    windows: dict[tuple[Target, int], list[Taken]] = {}
    for one in taken:
        for start, rows in by_window(one.rows, settings.window_seconds):
            part = one if rows is one.rows else replace(one, rows=rows)
            windows.setdefault((one.target, start), []).append(part)
    return [_folded(target, start, parts, settings) for (target, start), parts in windows.items()]


def _folded(target: Target, start: int, parts: Sequence[Taken], settings: Settings) -> Folded:
    version, tables = parts[0].version, [part.rows for part in parts]
    sketch = sketch_of(tables, version.bins, settings.max_categories, version.signature)
    plan = version.plan(settings.max_groups)
    scored = reduce(merge_joined, [predicted_of(table, plan) for table in _joint(tables, plan)])
    recorded = [part.recorded for part in parts]
    return Folded(target, start, replace(sketch, joined=scored), min(recorded), max(recorded))


def _joint(tables: Tables, plan: Plan) -> Tables:
    """What the plan needs of these tables, those of one schema as one: a call costs as much as some hundred rows."""
    return [_needed(group, plan) for group in alike(tables)]


def _needed(tables: Tables, plan: Plan) -> pa.RecordBatch:
    parts = Parts(tables)
    names = [name for name in parts.schema.names if name in plan.columns or name.startswith(batches.OUTPUT)]
    if not names:
        return tables[0].slice(0, 0)
    return pa.record_batch({name: pa.concat_arrays(parts.chunks(name)) for name in names})
