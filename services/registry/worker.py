"""Folds the registry's own events into its views, and looks at the gates again when a policy was adopted."""

from collections.abc import Sequence

from services.registry.domain import models
from services.registry.policies import policies_in
from services.registry.projection import project
from shared.events.envelope import Event
from shared.events.registry import (
    ApprovalGranted,
    ApprovalRejected,
    EvidenceRecorded,
    ModelVersionRegistered,
    PolicyAdopted,
)
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Query
from shared.runtime.commands import caused_by
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

TOPIC = "muniment.registry"
PAGE = 1_000


def consumers(service: Service) -> list[Consumer]:
    """One consumer, so that a model seen by it is in its views when a policy comes.

    Versions, evidence and approvals also lead to a review: a command that came beside an adoption may have been
    decided by the policy before. A review that finds nothing changed states nothing, so a rebuild may repeat it.
    """

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        await unit.apply([change for item in received for change in project(item.event)])
        for model, cause in (await _to_review(unit, [item.event for item in received])).items():
            await _review(service, unit, model, cause)

    return [Consumer("registry.views", (TOPIC,), service.log, service.store, handle, service.settings, together=True)]


def periodic(service: Service) -> list[Periodic]:
    return []


async def _to_review(unit: UnitOfWork, events: Sequence[Event]) -> dict[str, Event]:
    """Models whose gates these events may have changed, each with the last event that may have."""
    models_and_causes: dict[str, Event] = {}
    for event in events:
        match event.data:
            case PolicyAdopted():
                models_and_causes |= dict.fromkeys(await _models(unit), event)
            case ModelVersionRegistered(model=model) | EvidenceRecorded(model=model):
                models_and_causes[model] = event
            case ApprovalGranted(model=model) | ApprovalRejected(model=model):
                models_and_causes[model] = event
            case _:
                pass
    return models_and_causes


async def _models(unit: UnitOfWork) -> list[str]:
    names: list[str] = []
    while True:
        after = (names[-1],) if names else None
        rows = await unit.find(Query("models", limit=PAGE, after=after, columns=("name",)))
        names += [row["name"] for row in rows]
        if len(rows) < PAGE:
            return names


async def _review(service: Service, unit: UnitOfWork, model: str, cause: Event) -> None:
    command = models.ReviewGate(await policies_in(service, unit))
    try:
        await service.commands.handle_in(unit, models, f"model/{model}", command, caused_by(cause))
    except Conflict as error:
        raise NotYet(f"somebody else is writing to model {model}") from error
