"""Looks, by the clock, for deployments whose predictions stopped coming, and for those that are called again."""

from dataclasses import dataclass, field
from datetime import datetime

from services.monitor.domain import silence
from services.monitor.domain.silence import Listen
from services.monitor.projection import WATERMARKS
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, cursor_of
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

PART = 1_000
ACTOR = "monitor"
CHECKS = 20
"""Looks within `silence_seconds`."""


@dataclass(slots=True)
class Silence:
    """One worker's look at all deployments. Remembers what it stated, so that a look without news writes nothing."""

    service: Service
    _stated: dict[str, tuple[datetime, bool]] = field(default_factory=dict[str, tuple[datetime, bool]])

    @property
    def seconds(self) -> float:
        """How often to look."""
        return max(self.service.settings.silence_seconds / CHECKS, self.service.settings.window_measure_seconds)

    async def run(self) -> None:
        """State who fell silent and who is called again."""
        heard = await self._heard()
        async with self.service.store.begin() as unit:
            for deployment, at in sorted(heard.items()):
                await self._listen(unit, deployment, at)

    async def _listen(self, unit: UnitOfWork, deployment: str, heard: datetime) -> None:
        at = now()
        silent = (at - heard).total_seconds() >= self.service.settings.silence_seconds
        if self._stated.get(deployment) == (heard, silent) or (deployment not in self._stated and not silent):
            self._stated[deployment] = (heard, silent)
            return
        row = await unit.get("deployments", deployment)
        if row is not None and not row["retired"]:
            command = Listen(
                deployment,
                row["model"],
                row["traffic"]["champion"],
                heard,
                at,
                self.service.settings.silence_seconds,
            )
            context = Context(ACTOR, at, new_id())
            await self.service.commands.handle_in(unit, silence, command.subject, command, context)
        self._stated[deployment] = (heard, silent)

    async def _heard(self) -> dict[str, datetime]:
        """When the log took the last prediction of each deployment."""
        heard: dict[str, datetime] = {}
        query = Query("watermarks", limit=PART)
        rows: list[Row] = []
        while True:
            rows = await self.service.store.find(query)
            for row in rows:
                if row["heard"] is not None:
                    heard[row["deployment"]] = max(row["heard"], heard.get(row["deployment"], row["heard"]))
            if len(rows) < PART:
                return heard
            query = Query("watermarks", limit=PART, after=cursor_of(WATERMARKS, Query("watermarks"), rows[-1]))
