"""Out of OpenLineage events: data sets, pipelines and runs as registry events, whatever order the events came in.

What is known of each thing is work in hand (`lineage_known`), which a rebuild of the views leaves alone, so that events
read again derive nothing new.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from services.registry.domain import datasets, lineage_facts, pipelines
from services.registry.domain.lineage_known import Known, Thing, added, told_by
from shared.events.envelope import Event
from shared.events.refusal import Refused
from shared.events.registry import DatasetRegistered, LineageReported
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Each, Put, Query
from shared.runtime.commands import caused_by
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service

NAME = "registry.lineage"
TOPICS = ("muniment.registry",)
TABLE = "lineage_known"


def consumer(service: Service) -> Consumer:
    """`registry.lineage`: fills no view; states what follows from OpenLineage events."""

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        reports = [item.event for item in received if isinstance(item.event.data, LineageReported)]
        if reports:
            try:
                await Deriving(service, unit).derive(reports)
            except Conflict as error:
                raise NotYet("somebody else is writing to the same data set, pipeline or run") from error

    return Consumer(NAME, TOPICS, service.log, service.store, handle, service.settings, marks=False, together=True)


class Deriving:
    """One unit of work: what some events say, added to what is known, and stated where it is new."""

    def __init__(self, service: Service, unit: UnitOfWork) -> None:
        self._service, self._unit = service, unit

    async def derive(self, reports: Sequence[Event]) -> None:
        """Raises Conflict."""
        told, causes = _told(reports)
        known = await self._known(set(told) | _jobs(told))
        for thing, said in told.items():
            known[thing] = added(known.get(thing, {}), said)
        await self._unit.apply([_put(thing, known[thing]) for thing in told])
        for thing in sorted(told, key=lambda one: ("dataset", "job", "run").index(one[0])):
            await self._state(thing, known, causes[thing])

    async def _known(self, things: Iterable[Thing]) -> dict[Thing, Known]:
        """What is known of these; nobody else changes it until this unit of work ends."""
        ids = {_id(thing): thing for thing in things}
        await self._unit.lock([f"{TABLE}:{name}" for name in sorted(ids)])
        each = Each((("id", "="),), tuple((name,) for name in sorted(ids)))
        rows = await self._unit.find(Query(TABLE, limit=1, each=each))
        return {ids[row["id"]]: row["known"] for row in rows}

    async def _state(self, thing: Thing, known: Mapping[Thing, Known], cause: Event) -> None:
        """A refusal concerns what cannot be kept; the events themselves are on record all the same."""
        kind, namespace, name = thing
        try:
            if kind == "dataset":
                await self._dataset(lineage_facts.dataset(namespace, name, known[thing]), cause)
            elif kind == "job":
                stated = lineage_facts.pipeline(namespace, name, known[thing])
                await self._pipeline(pipelines.RegisterPipeline(stated, True), stated.pipeline, cause)
            else:
                await self._run(name, known[thing], known, cause)
        except Refused:
            return

    async def _dataset(self, facts: lineage_facts.DatasetFacts, cause: Event) -> None:
        given = DatasetRegistered(dataset=facts.name, version=0, **facts.said)
        command = datasets.RegisterDataset(given, frozenset(facts.said))
        await self._service.commands.handle_in(self._unit, datasets, f"dataset/{facts.name}", command, caused_by(cause))

    async def _pipeline(
        self, command: pipelines.RegisterPipeline | pipelines.RecordRun, name: str, cause: Event
    ) -> None:
        await self._service.commands.handle_in(self._unit, pipelines, f"pipeline/{name}", command, caused_by(cause))

    async def _run(self, number: str, known: Known, all_known: Mapping[Thing, Known], cause: Event) -> None:
        namespace, job = known["job"]
        pipeline = lineage_facts.registry_name(namespace, job)
        _, state = await self._service.commands.state_in(self._unit, pipelines, f"pipeline/{pipeline}")
        versions: dict[str, int] = {}
        for side in ("inputs", "outputs"):
            for one in known.get(side, ()):
                name = lineage_facts.registry_name(*one)
                _, newest = await self._service.commands.state_in(self._unit, datasets, f"dataset/{name}")
                versions[name] = newest.version if newest else 0
        run = lineage_facts.run(
            number, known, all_known.get(("job", namespace, job), {}), versions, state.runs.get(number)
        )
        await self._pipeline(pipelines.RecordRun(run, True), pipeline, cause)


def _told(reports: Sequence[Event]) -> tuple[dict[Thing, Known], dict[Thing, Event]]:
    """What all of them say of each thing, and the event that is named as the cause: that which happened last."""
    told: dict[Thing, Known] = {}
    causes: dict[Thing, Event] = {}
    for event in reports:
        assert isinstance(event.data, LineageReported)  # noqa: S101
        for thing, said in told_by(event.data, event.time).items():
            told[thing] = added(told.get(thing, {}), said)
            last = causes.get(thing)
            causes[thing] = event if last is None or event.time >= last.time else last
    return told, causes


def _jobs(told: Mapping[Thing, Known]) -> set[Thing]:
    """The jobs of these runs."""
    return {("job", known["job"][0], known["job"][1]) for (kind, *_), known in told.items() if kind == "run"}


def _put(thing: Thing, known: Known) -> Put:
    kind, namespace, name = thing
    return Put(TABLE, {"id": _id(thing), "kind": kind, "namespace": namespace, "name": name, "known": known})


def _id(thing: Thing) -> str:
    return hashlib.sha256("\0".join(thing).encode()).hexdigest()
