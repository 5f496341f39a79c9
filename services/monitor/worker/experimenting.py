"""Running experiments are judged by what came in: guardrails that broke, and what is decided, are stated once."""

from dataclasses import dataclass
from datetime import datetime

from services.monitor.domain import experiments
from services.monitor.domain.experiment_judging import Decided, breaches, decided, results, sample_ratio
from services.monitor.domain.experiments import Judge, subject_of
from services.monitor.experimenting import as_planned, closed_until, measured, window_of
from services.monitor.facts import Facts
from services.monitor.reading import Reading
from shared.events.monitor import ExperimentStarted
from shared.log.tables import Query, Row, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

ACTOR = "monitor"
MAX_RUNNING = 1_000


@dataclass(slots=True)
class Experimenting:
    """One worker's look at all experiments that run. Several workers may look at once: what is stated is decided on
    the deployment's own stream. Closed windows count, up to a change of the arms' traffic."""

    service: Service
    figures: Reading

    @classmethod
    def of(cls, service: Service) -> "Experimenting":
        return cls(service, Reading.of(service, Facts()))

    async def run(self) -> None:
        """Judge each."""
        rows = await self.service.store.find(Query("experiments", equal(running=True), limit=MAX_RUNNING))
        for row in rows:
            await self._one(ExperimentStarted.model_validate(row["plan"], strict=False))

    async def _one(self, plan: ExperimentStarted) -> None:
        row = await self.service.store.get("deployments", plan.deployment)
        moved = row is not None and (bool(row["retired"]) or not as_planned(plan, row["traffic"]))
        until = await closed_until(self.figures, plan)
        changed = self._changed(row) if moved and row is not None else None
        until = until if changed is None else min(until, changed)
        arms = (await measured(self.figures, plan, until)).arms
        told, ratio = results(plan, arms), sample_ratio(plan, arms)
        end = decided(plan, told, ratio)
        if end is None and moved:
            end = Decided("interrupted", None, "The traffic of its arms was changed before anything was decided.")
        command = Judge(plan.experiment, told, ratio, tuple(breaches(plan, arms)), end)
        if command.decided is not None or command.breaches:
            context = Context(ACTOR, min(until, now()), new_id())
            await self.service.commands.handle(experiments, subject_of(plan.deployment), command, context)

    def _changed(self, row: Row) -> datetime | None:
        """The start of the window in which the traffic was changed: what lies before was shared as planned."""
        since = row["traffic_since"]
        return None if since is None else window_of(since, self.service.settings.window_seconds)
