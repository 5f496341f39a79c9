"""What a check of the views found, put on record by the service that it is about."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from shared.events.envelope import Event
from shared.events.every import ViewsVerified
from shared.log.store import InUse, Store
from shared.runtime.checking.checking import check_views
from shared.runtime.checking.outcome import Outcome
from shared.runtime.commands import new_id, now
from shared.runtime.service import Definition, Service

logger = structlog.get_logger()

SCHEDULE = "schedule"
"""Who asks for the checks that run by themselves."""

MAX_TEXT = 2_000

Scratch = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens an empty store beside the service's own; raises InUse while somebody else has it."""


def subject_of(service: str) -> str:
    """The stream of a service's checks."""
    return f"views/{service}"


def fact_of(outcome: Outcome, verification: str) -> ViewsVerified:
    """An outcome as a fact."""
    difference = outcome.first_difference
    return ViewsVerified.model_validate(
        {
            "service": outcome.service,
            "verification": verification,
            "outcome": outcome.verdict,
            "reason": outcome.reason and outcome.reason[:MAX_TEXT],
            "first_difference": str(difference)[:MAX_TEXT] if difference is not None else None,
            "records": outcome.records,
            "rows": sum(table.live_rows for table in outcome.tables),
            "differing": sum(table.differing for table in outcome.tables),
            "unsettled": sum(table.unsettled + table.not_looked_at_again for table in outcome.tables),
            "dead_letters": outcome.dead_letters,
            "digest_live": outcome.live_digest,
            "digest_replayed": outcome.replayed_digest,
            "seconds": outcome.seconds,
        }
    )


async def record(service: Service, outcome: Outcome, actor: str) -> Event:
    """State what a check of this service's views found. Raises StoreUnavailable."""
    name = new_id()
    event = Event(name, f"/muniment/{service.name}", subject_of(service.name), now(), 0, actor, fact_of(outcome, name))
    async with service.store.begin() as unit:
        stated = await unit.append(event.subject, None, [event])
    return stated[0]


@dataclass(slots=True)
class Checks:
    """Checks the views of one service whenever the last check on record is `views_check_seconds` old. Of several
    workers one does so: the scratch store lets one in, and who comes next finds the check on record."""

    definition: Definition
    service: Service
    scratch: Scratch

    async def run(self) -> None:
        """Check, if it is time. A difference is logged as an error, too."""
        if not await self._due():
            return
        try:
            async with self.scratch() as scratch:
                if not await self._due():
                    return
                outcome = await check_views(self.definition, self.service, scratch)
        except InUse:
            return
        event = await record(self.service, outcome, SCHEDULE)
        told = logger.info if outcome.verdict == "equal" else logger.error
        told("views checked", service=self.service.name, verdict=outcome.verdict, event_id=event.id)

    async def _due(self) -> bool:
        seconds = self.service.settings.views_check_seconds
        async with self.service.store.begin() as unit:
            events = await unit.load(subject_of(self.service.name))
        last = max((one.time for one in events), default=None)
        return last is None or last <= now() - timedelta(seconds=seconds)
