"""What intake refused, gathered and put on record now and then: so many refusals make few events, and none waits for
the store. A process that is killed loses the count of the last seconds, and nothing else."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from services.monitor.domain import refusals
from services.monitor.domain.refusals import Refuse, Refused
from services.monitor.facts import Version
from services.monitor.intake.faults import InvalidRows
from shared.log.log import LogUnavailable
from shared.log.store import Conflict, StoreUnavailable
from shared.runtime.commands import Context, new_id, now
from shared.runtime.problems import Problem
from shared.runtime.service import Service

ACTOR = "monitor"
MAX_HELD = 1_000
"""Windows of deployments whose counts may wait; of more, nothing is counted until these are written."""

MAX_REASON = 100
"""Characters of a reason."""

logger = structlog.get_logger()
_Key = tuple[str, str, int, datetime]


@dataclass(slots=True)
class Refusals:
    """Counts refusals of one process."""

    service: Service
    _held: dict[_Key, Refused] = field(default_factory=dict[_Key, Refused])
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.Task[None] | None = None

    @contextmanager
    def counting(self, deployment: str, version: Version, rows: int) -> Iterator[None]:
        """Count what is refused in here, a body of so many rows."""
        try:
            yield
        except Problem as problem:
            self.count(deployment, version, rows, problem)
            raise

    def count(self, deployment: str, version: Version, rows: int, problem: Problem) -> None:
        """A body of so many rows was refused for them. Other refusals say nothing of the rows and do not count."""
        if problem.status != 422 or not rows:
            return
        reasons = problem.reasons if isinstance(problem, InvalidRows) else (problem.code,)
        seconds = self.service.settings.window_seconds
        start = datetime.fromtimestamp(int(now().timestamp()) // seconds * seconds, UTC)
        key = (deployment, version.model, version.version, start)
        if key not in self._held and len(self._held) >= MAX_HELD:
            return
        found = Refused(1, rows, {reason[:MAX_REASON]: rows for reason in reasons})
        self._held[key] = self._held.get(key, Refused()).plus(found)
        self._later()

    async def close(self) -> None:
        """Write what still waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.write()

    async def write(self) -> None:
        """Put on record what was counted since the last time. What cannot be written now stays counted."""
        held, self._held = self._held, {}
        for key, found in held.items():
            try:
                await self._state(key, found)
            except (StoreUnavailable, LogUnavailable, Conflict, OSError) as error:
                logger.warning("refusals not on record yet", error=repr(error))
                self._held[key] = self._held.get(key, Refused()).plus(found)

    async def _state(self, key: _Key, found: Refused) -> None:
        deployment, model, version, start = key
        end = start + timedelta(seconds=self.service.settings.window_seconds)
        command = Refuse(deployment, model, version, start, end, found)
        await self.service.commands.handle(refusals, command.subject, command, Context(ACTOR, now(), new_id()))

    def _later(self) -> None:
        if self._timer is None:
            seconds = self.service.settings.refusals_seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, self._start)

    def _start(self) -> None:
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        await self.write()
        self._timer = None
        if self._held:
            self._later()
