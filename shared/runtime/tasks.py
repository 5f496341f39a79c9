"""Jobs that run beside a service's consumers until it stops."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

logger = structlog.get_logger()


@dataclass(slots=True)
class Periodic:
    """Calls `job` every `seconds`; an error is logged and kept in `problem` until a later run succeeds."""

    name: str
    seconds: float
    job: Callable[[], Awaitable[None]]
    problem: str | None = None

    async def run(self) -> None:
        while True:
            try:
                await self.job()
                self.problem = None
            except Exception as error:  # a failing job must not end the service; readiness shows it
                self.problem = f"{self.name}: {error!r}"
                logger.exception("periodic job failed", job=self.name)
            await asyncio.sleep(self.seconds)
