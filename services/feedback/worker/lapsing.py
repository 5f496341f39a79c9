"""Flags whose prediction does not come: kept for a stated time, and then whoever raised them is told."""

from dataclasses import dataclass
from datetime import timedelta

from services.feedback.domain import flags
from services.feedback.domain.flags import Lapse
from shared.log.tables import Query, Where, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

ACTOR = "service:feedback"
PAGE = 500


@dataclass(slots=True)
class Lapsing:
    """The job. A flag that lapsed is placed all the same, should its prediction still come."""

    service: Service

    async def run(self) -> None:
        """State FlagLapsed of every flag that has waited for longer than `flags_pending_seconds`."""
        seconds = self.service.settings.flags_pending_seconds
        before = now() - timedelta(seconds=seconds)
        where = (*equal(located=False, state="open"), Where("recorded_at", "<", before))
        for row in await self.service.store.find(Query("flags", where, limit=PAGE, columns=("id", "recorded_at"))):
            moment = now()
            command = Lapse((moment - row["recorded_at"]).total_seconds())
            context = Context(ACTOR, moment, new_id())
            await self.service.commands.handle(flags, f"flag/{row['id']}", command, context)
