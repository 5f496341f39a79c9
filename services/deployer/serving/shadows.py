"""Shadows: versions that are asked beside the answer and never answer. Behind a bounded queue, so that they cost the
answer nothing; what does not fit is dropped and counted."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import structlog

from services.deployer.serving.frames import Frame
from services.deployer.serving.parameters import Rows
from services.deployer.serving.records import record_batch
from services.deployer.serving.routes import Route
from services.deployer.serving.runtimes import Runtimes
from shared.runtime.commands import new_id
from shared.runtime.predictions import PredictionWriter
from shared.runtime.settings import Settings

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shadowing:
    """One request for one shadow. `answered`: the ids in the log of the predictions that answered its rows."""

    route: Route
    version: int
    frame: Frame
    rows: Rows
    actor: str
    answered: list[str]


@dataclass(slots=True)
class Shadows:
    """Asks shadows one after another. `dropped` and `failed` count requests by (deployment, version)."""

    settings: Settings
    runtimes: Runtimes
    writer: PredictionWriter
    dropped: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    failed: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    _queue: "asyncio.Queue[Shadowing] | None" = None
    _task: "asyncio.Task[None] | None" = None

    def ask(self, one: Shadowing) -> None:
        """Queue a request; returns at once."""
        if self._queue is None:
            self._queue = asyncio.Queue(self.settings.max_shadow_requests)
            self._task = asyncio.create_task(self._run(self._queue), name="deployer.shadows")
        try:
            self._queue.put_nowait(one)
        except asyncio.QueueFull:
            self.dropped[one.route.name, one.version] += 1

    async def idle(self) -> None:
        """Wait until every queued request was asked."""
        if self._queue is not None:
            await self._queue.join()

    async def close(self) -> None:
        """Ask what still waits, and end."""
        await self.idle()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, queue: "asyncio.Queue[Shadowing]") -> None:
        while True:
            one = await queue.get()
            try:
                await self._one(one)
            except Exception as error:  # a shadow's failure is its own, whatever it is
                self.failed[one.route.name, one.version] += 1
                logger.warning("shadow failed", deployment=one.route.name, version=one.version, error=repr(error))
            finally:
                queue.task_done()

    async def _one(self, one: Shadowing) -> None:
        outputs = await self.runtimes.run(one.route, one.version, one.frame)
        batch = record_batch(one.frame, outputs, one.rows, np.arange(one.frame.rows), one.answered)
        target = self.runtimes.served(one.route, one.version).target
        await self.writer.batch(target, batch, one.actor, new_id(), one.rows.now)
