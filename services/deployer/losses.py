"""What earlier processes had answered and not brought to the log is put on record, with the reason."""

import asyncio
from dataclasses import dataclass, field

import structlog

from services.deployer import domain
from services.deployer.domain import StateLoss, subject_of
from services.deployer.serving.tally import Lost, left_behind
from shared.log.store import StoreUnavailable
from shared.runtime.commands import Context, Refused, new_id, now
from shared.runtime.service import Service

logger = structlog.get_logger()

ACTOR = "deployer"
RETRY_SECONDS = 5.0


@dataclass(slots=True)
class Losses:
    """Looks, when a process starts, at the counts that others left behind in `data_dir`."""

    service: Service
    _task: "asyncio.Task[None] | None" = field(default=None)

    def begin(self) -> None:
        """Look beside the answers."""
        self._task = asyncio.create_task(self._run(), name="deployer.losses")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """State what was lost, then remove the counts; stated twice it has its effect once. Raises StoreUnavailable."""
        for path, lost in left_behind(self.service.settings.data_dir):
            for one in lost:
                await self._state(one, path.stem)
            path.unlink(missing_ok=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
                return
            except (StoreUnavailable, OSError) as error:
                logger.warning("lost predictions not stated yet", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _state(self, one: Lost, process: str) -> None:
        logger.warning(
            "predictions lost", deployment=one.deployment, version=one.version, rows=one.rows, why=one.reason
        )
        command = StateLoss(one.version, one.rows, process, one.reason)
        try:
            await self.service.commands.handle(
                domain, subject_of(one.deployment), command, Context(ACTOR, now(), new_id())
            )
        except Refused as error:  # a deployment of another system that used this folder
            logger.warning("lost predictions of an unknown deployment", deployment=one.deployment, reason=str(error))
