"""Canaries take their steps by the clock."""

from dataclasses import dataclass

from services.deployer import domain
from services.deployer.api.facts import facts_of
from services.deployer.domain import StepCanary, subject_of
from shared.log.tables import Query, Row, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

ACTOR = "deployer"
MAX_CANARIES = 10_000


@dataclass(slots=True)
class Canaries:
    """Looks at what runs. Several workers may look at once: a step is decided on the deployment's own stream."""

    service: Service

    async def run(self) -> None:
        """Take every step that is due."""
        rows = await self.service.store.find(Query("deployments", equal(canary_state="running"), limit=MAX_CANARIES))
        for row in rows:
            await self._step(row)

    async def _step(self, row: Row) -> None:
        facts = await facts_of(self.service.store, row["model"], row["environment"], [row["canary"]["version"]])
        at = now()
        context = Context(ACTOR, at, new_id())
        await self.service.commands.handle(domain, subject_of(row["name"]), StepCanary(at, facts), context)
