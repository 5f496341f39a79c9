"""What others state of a deployed version, as a command of this service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.deployer import domain
from services.deployer.domain import React, subject_of
from shared.events.envelope import Event
from shared.events.feedback import FlagThresholdBreached
from shared.events.monitor import DriftDetected, GuardrailBreached, KpiBreached
from shared.log.store import Conflict, UnitOfWork
from shared.runtime.commands import Context, new_id, now
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service

CONSUMER = "deployer.reactions"
TOPICS = ("muniment.monitor", "muniment.feedback")
ACTOR = "deployer"


def consumer(service: Service) -> Consumer:
    """`deployer.reactions`: facts of other services into reactions, each once, in the unit of work of its offset."""
    handle = Reacting(service).handle
    return Consumer(CONSUMER, TOPICS, service.log, service.store, handle, service.settings, marks=False)


@dataclass(slots=True)
class Reacting:
    """Facts that the log took more than `reaction_stale_seconds` ago (a replay, a rebuild) have no effect any more."""

    service: Service

    async def handle(self, unit: UnitOfWork, received: Sequence[Received]) -> None:
        for item in received:
            told = trigger(item.event)
            if told is not None and self._fresh(item.event):
                await self._react(unit, item.event, *told)

    async def _react(self, unit: UnitOfWork, event: Event, deployment: str, command: React) -> None:
        context = Context(ACTOR, event.time, new_id(), event.correlationid, event.id)
        try:
            await self.service.commands.handle_in(unit, domain, subject_of(deployment), command, context)
        except Conflict as error:
            raise NotYet(f"somebody else is changing deployment {deployment}") from error

    def _fresh(self, event: Event) -> bool:
        age = (now() - (event.recorded or event.time)).total_seconds()
        return age <= self.service.settings.reaction_stale_seconds


def trigger(event: Event) -> tuple[str, React] | None:
    """(deployment, command) of a fact that may have an effect."""
    data: Any = event.data
    told = event.recorded or event.time
    match data:
        case DriftDetected():
            words = f"{data.feature} drifted: {data.statistic} {data.value:.3g}, threshold {data.threshold:.3g}"
            return data.deployment, React("drift", data.version, data.feature, told, words)
        case KpiBreached():
            words = f"{data.kpi} is {data.value:.6g} {data.unit}, target {data.target:.6g}"
            return data.deployment, React("kpi", data.version, data.kpi, told, words)
        case FlagThresholdBreached():
            words = f"{data.open_flags} open flags, limit {data.threshold}"
            return data.deployment, React("flags", data.version, getattr(data, "kind", "open"), told, words)
        case GuardrailBreached():
            words = (
                f"guardrail {data.guardrail} of experiment {data.experiment}: {data.value:.6g}, limit {data.limit:.6g}"
            )
            return data.deployment, React("guardrail", data.version, data.guardrail, told, words)
        case _:
            return None
