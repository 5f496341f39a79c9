"""Folds events into the registry's views, and looks at gates again when a policy, a flag or the time changed them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from services.registry import deriving, reviewing
from services.registry.domain import models
from services.registry.policies import flags_of, in_force, policies_in, policies_of, read_ahead
from services.registry.projection import project
from services.registry.reviewing import Reviews
from services.registry.snapshots import Snapshots
from services.registry.telling import OUTBOX, tell
from shared.events import feedback
from shared.events.envelope import Event
from shared.events.registry import (
    ApprovalGranted,
    ApprovalRejected,
    EvidenceRecorded,
    GateChanged,
    ModelRegistered,
    ModelVersionRegistered,
    PolicyAdopted,
    Stage,
)
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Query, Where
from shared.runtime.commands import Context, caused_by, new_id, now
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic
from shared.runtime.webhooks.delivering import Delivering
from shared.runtime.webhooks.signing import Signing

TOPIC = "muniment.registry"
OUTSIDE = ("muniment.feedback", "muniment.deployer")
PAGE = 1_000
REVIEWED_AT_ONCE = 100
"""Models whose streams are asked for in one statement."""

ACTOR = "service:registry"


def consumers(service: Service) -> list[Consumer]:
    """One consumer of the registry's own events, so that a model seen by it is in its views when a policy comes; and
    one of what others state that gates are judged by.

    Versions, evidence and approvals also lead to a review: a command that came beside an adoption may have been
    decided by the policy before. So does a goal that a model says later, which states the gates of its newest versions
    alone. A review that finds nothing changed states nothing, so a rebuild may repeat it.
    """

    settings = service.settings
    Snapshots.of(service)

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        events = [item.event for item in received]
        await unit.apply([change for event in events for change in project(event)])
        await tell(unit, events, settings, now())
        await reviewing.put_off_retired(unit, events)
        await _review_all(service, unit, await _to_review(service, unit, events))

    async def handle_outside(unit: UnitOfWork, received: Sequence[Received]) -> None:
        events = [item.event for item in received]
        await unit.apply([change for event in events for change in project(event)])
        await _review_all(service, unit, await _flagged(unit, events))

    return [
        Consumer("registry.views", (TOPIC,), service.log, service.store, handle, settings, together=True),
        Consumer("registry.outside", OUTSIDE, service.log, service.store, handle_outside, settings, together=True),
        deriving.consumer(service),
    ]


def periodic(service: Service) -> list[Periodic]:
    """Gates that time alone may have changed, or that wait to be looked at, and webhooks that are due."""
    settings = service.settings
    delivering = Delivering(service.store, settings, Signing.of(settings), OUTBOX)
    service.on_close.append(delivering.close)

    async def lapse() -> None:
        await lapsed(service, now())

    async def review() -> None:
        await reviewing.pieces(service)

    return [
        Periodic("registry.lapse", settings.gate_lapse_seconds, lapse),
        Periodic("registry.review", settings.gate_lapse_seconds, review),
        Periodic("registry.deliver", settings.alert_deliver_seconds, delivering.run),
    ]


async def lapsed(service: Service, at: datetime) -> None:
    """Look again at every gate whose `until` has come at `at`: evidence went stale, an approval or exception ended."""
    while True:
        rows = await service.store.find(Query("gate_ends", (Where("until", "<=", at),), ("until",), PAGE))
        due: dict[str, set[int]] = {}
        for row in rows:
            due.setdefault(row["model"], set()).add(row["version"])
        stated = 0
        for model, versions in due.items():
            async with service.store.begin() as unit:
                command = models.ReviewGate(await policies_in(service, unit, model, at), tuple(sorted(versions)))
                context = Context(ACTOR, at, new_id())
                try:
                    events = await service.commands.handle_in(unit, models, f"model/{model}", command, context)
                except Conflict:  # whoever came first looked at the gate, too; the next run sees what is left
                    continue
                stated += len(events)
        if len(rows) < PAGE or not stated:  # what was stated now reaches the view through the log
            return


async def _to_review(service: Service, unit: UnitOfWork, events: Sequence[Event]) -> Reviews:
    reviews: Reviews = {}
    judged = await _judged(service, unit, events)
    for event in events:
        match event.data:
            case PolicyAdopted():
                reviews |= dict.fromkeys(await _models(unit), (None, event))
            case ModelRegistered(model=model, since=datetime()):
                reviews[model] = (None, event)
            case ModelVersionRegistered(model=model, version=version) if (model, version) in judged:
                pass
            case ModelVersionRegistered() | EvidenceRecorded() | ApprovalGranted() | ApprovalRejected() as fact:
                _add(reviews, fact.model, fact.version, event)
            case _:
                pass
    return reviews


async def _judged(service: Service, unit: UnitOfWork, events: Sequence[Event]) -> set[tuple[str, int]]:
    """Versions registered among these events whose gates were all judged with it, by the policies that are in force,
    and on which no flag is open. An adoption or a flag yet to come reviews them."""
    stated = defaultdict[tuple[str, int], dict[Stage, int | None]](dict)
    for event in events:
        if isinstance(event.data, GateChanged):
            stated[event.data.model, event.data.version][event.data.stage] = event.data.policy_version
    new = [(event.data.model, event.data.version) for event in events if isinstance(event.data, ModelVersionRegistered)]
    if not new:
        return set()
    await read_ahead(service, unit)
    versions = {stage: policy.version for stage, policy in (await in_force(service, unit)).items()}
    flags = await flags_of(unit, {model for model, _ in new})

    def flagged(model: str, version: int) -> bool:
        return any(flag.version in (None, version) for flag in flags[model])

    return {one for one in new if stated[one] == versions and not flagged(*one)}


async def _flagged(unit: UnitOfWork, events: Sequence[Event]) -> Reviews:
    """Versions whose flags were opened, graded anew or closed."""
    reviews: Reviews = {}
    for event in events:
        match event.data:
            case (
                feedback.FeedbackFlagged(flag=flag)
                | feedback.PredictionsFlagged(flag=flag)
                | feedback.FlagLocated(flag=flag)
                | feedback.FlagTriaged(flag=flag)
                | feedback.FlagResolved(flag=flag)
                | feedback.FlagLapsed(flag=flag)
                | feedback.FlagMerged(flag=flag)
            ):
                row = await unit.get("flags", flag)
                if row is not None and row["model"] is not None:
                    _add(reviews, row["model"], row["version"], event)
            case _:
                pass
    return reviews


def _add(reviews: Reviews, model: str, version: int | None, event: Event) -> None:
    before, _ = reviews.get(model, (set[int](), event))
    reviews[model] = (None if before is None or version is None else before | {version}, event)


async def _models(unit: UnitOfWork) -> list[str]:
    names: list[str] = []
    while True:
        after = (names[-1],) if names else None
        rows = await unit.find(Query("models", limit=PAGE, after=after, columns=("name",)))
        names += [row["name"] for row in rows]
        if len(rows) < PAGE:
            return names


async def _review_all(service: Service, unit: UnitOfWork, reviews: Reviews) -> None:
    reviews = await reviewing.put_off(unit, reviews)
    every = list(reviews)
    for first in range(0, len(every), REVIEWED_AT_ONCE):
        policies = await policies_of(service, unit, every[first : first + REVIEWED_AT_ONCE])
        for model in policies:
            versions, cause = reviews[model]
            numbers = None if versions is None else tuple(sorted(versions))
            command = models.ReviewGate(policies[model], numbers)
            try:
                await service.commands.handle_in(unit, models, f"model/{model}", command, caused_by(cause))
            except Conflict as error:
                raise NotYet(f"somebody else is writing to model {model}") from error
