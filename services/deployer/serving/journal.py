"""Answers go to the log behind their backs: columnar batches, gathered while earlier ones are under way.

What waits here was answered and is not on the log yet. It is bounded (`answers_max_unlogged`), is written again until
the log acknowledges it (the same batch under the same id, which has its effect once), is flushed at an end, and is
counted where a process is killed (`tally`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import structlog

from services.deployer.serving.records import Line, Shape, batch_of
from services.deployer.serving.tally import Tally
from shared.events import batches
from shared.log.log import LogUnavailable
from shared.runtime.commands import new_id
from shared.runtime.predictions import Fallback, PredictionWriter, Target, with_times
from shared.runtime.settings import Settings

logger = structlog.get_logger()

RETRY_SECONDS = 0.2
MAX_SHAPES = 1_000


@dataclass(slots=True)
class _Gathering:
    """Lines that go to the log together."""

    shape: Shape
    actor: str
    cell: int
    batch_id: str
    lines: list[Line] = field(default_factory=list[Line])
    ids: set[str] = field(default_factory=set[str])
    timer: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """A batch on its way: `make` gives its rows, off the way of the answers."""

    target: Target
    cell: int
    rows: int
    make: Callable[[], pa.RecordBatch]
    actor: str
    batch_id: str
    fallback: Fallback


_Key = tuple[Shape, str, bool]


@dataclass(slots=True)
class Journal:
    """For one event loop. `unlogged`: rows answered that the log has not acknowledged; `refused`: those that it never
    will, since it takes no such record, by deployment and version."""

    settings: Settings
    writer: PredictionWriter
    tally: Tally
    unlogged: int = 0
    refused: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    _gathering: "dict[_Key, _Gathering]" = field(default_factory=dict["_Key", "_Gathering"])
    _shapes: dict[Any, Shape] = field(default_factory=dict[Any, Shape])
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set["asyncio.Task[None]"])
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    def waits(self, target: Target) -> bool:
        """Whether this version's answers wait for the log: where all do, where they hold personal values, which must
        be sealed first, and where they could not be counted."""
        return self.settings.answers_wait_for_log or target.subject is not None or self.tally.cell(target) is None

    def kept(self, shape: Shape) -> Shape:
        """The shape as it is known here already."""
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        key = (shape.target, shape.features, shape.outputs, shape.fallback)
        return self._shapes.setdefault(key, shape)

    async def row(self, shape: Shape, actor: str, line: Line) -> tuple[str, int]:
        """Take one prediction; answers the batch that it will be in and its place there. Raises LogUnavailable where
        too many are not on the log yet; then it was not taken."""
        if self.unlogged >= self.settings.answers_max_unlogged:
            await self._room(1)
        key = (shape, actor, line.id is not None)
        gathering = self._gathering.get(key)
        if gathering is not None and line.id in gathering.ids:  # in one batch an id names one row
            self._flush(key)
            gathering = None
        if gathering is None:
            cell = self.tally.cell(shape.target) or 0
            gathering = self._gathering[key] = _Gathering(shape, actor, cell, new_id())
            gathering.timer = asyncio.get_running_loop().call_later(self.settings.answers_seconds, self._flush, key)
        place = len(gathering.lines)
        gathering.lines.append(line)
        if line.id is not None:
            gathering.ids.add(line.id)
        self.tally.answered(gathering.cell, 1)
        self.unlogged += 1
        if place + 1 >= min(self.settings.coalesce_rows, batches.MAX_ROWS):
            self._flush(key)
        return gathering.batch_id, place

    async def batch(
        self,
        target: Target,
        batch: pa.RecordBatch,
        actor: str,
        batch_id: str,
        at: datetime,
        fallback: Fallback = "",
    ) -> str:
        """Take a whole batch; rows without a time happened `at`. Raises as `row`."""
        if self.unlogged + batch.num_rows > self.settings.answers_max_unlogged:
            await self._room(batch.num_rows)
        cell = self.tally.cell(target) or 0
        self.tally.answered(cell, batch.num_rows)
        self.unlogged += batch.num_rows
        made = _Made(target, cell, batch.num_rows, lambda: with_times(batch, at), actor, batch_id, fallback)
        self._spawn(self._log(made))
        return batch_id

    async def idle(self) -> None:
        """Wait until all that was taken so far is on the log."""
        for key in list(self._gathering):
            self._flush(key)
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        """Write what still waits. What the log does not take in time stays counted for the next start."""
        await self.idle()
        self.tally.close()

    async def _room(self, rows: int) -> None:
        """Wait until so many more may be taken. A batch larger than the limit is taken once nothing else waits."""
        try:
            async with asyncio.timeout(self.settings.answers_full_seconds):
                while self.unlogged and self.unlogged + rows > self.settings.answers_max_unlogged:
                    for key in list(self._gathering):
                        self._flush(key)
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError as error:
            raise LogUnavailable(f"{self.unlogged} predictions wait for the log, and no more are taken") from error

    def _flush(self, key: _Key) -> None:
        one = self._gathering.pop(key, None)
        if one is None:
            return
        if one.timer is not None:
            one.timer.cancel()
        shape, lines = one.shape, one.lines
        made = _Made(
            shape.target,
            one.cell,
            len(lines),
            lambda: batch_of(shape, lines),
            one.actor,
            one.batch_id,
            shape.fallback,
        )
        self._spawn(self._log(made))

    async def _log(self, one: _Made) -> None:
        """Write until the log has it."""
        try:
            batch = one.make()
            table = batches.write(batch)
            while True:
                try:
                    await self.writer.written(one.target, batch, table, one.actor, one.batch_id, fallback=one.fallback)
                    self.tally.logged(one.cell, one.rows)
                    return
                except LogUnavailable as error:
                    logger.warning("answers wait for the log", rows=self.unlogged, reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            self.refused[one.target.deployment, one.target.version] += one.rows
            self.tally.refused(one.cell, one.rows)
            logger.exception("answers that the log does not take", deployment=one.target.deployment, rows=one.rows)
        finally:
            self.unlogged -= one.rows
            self._freed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
