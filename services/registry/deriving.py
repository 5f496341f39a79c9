"""Out of OpenLineage events: data sets, pipelines and runs as registry events, whatever order the events came in.

What is known of each thing is work in hand (`lineage_known`), which a rebuild of the views leaves alone, so that events
read again derive nothing new.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.registry.deciding import Deciding
from services.registry.domain import datasets, lineage_facts, pipelines
from services.registry.domain.lineage_known import Known, Thing, added, told_by
from shared.events.envelope import Event
from shared.events.refusal import Refused
from shared.events.registry import DatasetRegistered, LineageReported
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Each, Put, Query
from shared.runtime.commands import Decider, caused_by
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service

NAME = "registry.lineage"
TOPICS = ("muniment.registry",)
TABLE = "lineage_known"


def consumer(service: Service) -> Consumer:
    """`registry.lineage`: fills no view; states what follows from OpenLineage events."""

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        try:
            await Deriving(service, unit).derive([item.event for item in received])
        except Conflict as error:
            raise NotYet("somebody else is writing to the same data set, pipeline or run") from error

    settings, types = service.settings, frozenset({LineageReported.__name__})
    return Consumer(NAME, TOPICS, service.log, service.store, handle, settings, marks=False, together=True, types=types)


class Deriving:
    """One unit of work: what some events say, added to what is known, and stated where it is new."""

    def __init__(self, service: Service, unit: UnitOfWork) -> None:
        self._unit, self._deciding = unit, Deciding(service, unit)

    async def derive(self, reports: Sequence[Event]) -> None:
        """Raises Conflict."""
        told, causes = _told(reports)
        known = await self._known(set(told) | _jobs(told))
        for thing, said in told.items():
            known[thing] = added(known.get(thing, {}), said)
        await self._unit.apply([_put(thing, known[thing]) for thing in told])
        await self._deciding.read(_streams(told, known))
        for thing in sorted(told, key=lambda one: ("dataset", "job", "run").index(one[0])):
            self._state(thing, known, causes[thing])
        await self._deciding.append()

    async def _known(self, things: Iterable[Thing]) -> dict[Thing, Known]:
        """What is known of these; nobody else changes it until this unit of work ends."""
        ids = {_id(thing): thing for thing in things}
        await self._unit.lock([f"{TABLE}:{name}" for name in sorted(ids)])
        each = Each((("id", "="),), tuple((name,) for name in sorted(ids)))
        rows = await self._unit.find(Query(TABLE, limit=1, each=each))
        return {ids[row["id"]]: row["known"] for row in rows}

    def _state(self, thing: Thing, known: Mapping[Thing, Known], cause: Event) -> None:
        """A refusal concerns what cannot be kept; the events themselves are on record all the same."""
        kind, namespace, name = thing
        try:
            if kind == "dataset":
                self._dataset(lineage_facts.dataset(namespace, name, known[thing]), cause)
            elif kind == "job":
                stated = lineage_facts.pipeline(namespace, name, known[thing])
                self._pipeline(pipelines.RegisterPipeline(stated, True), stated.pipeline, cause)
            else:
                self._run(name, known[thing], known, cause)
        except Refused:
            return

    def _dataset(self, facts: lineage_facts.DatasetFacts, cause: Event) -> None:
        given = DatasetRegistered(dataset=facts.name, version=0, **facts.said)
        command = datasets.RegisterDataset(given, frozenset(facts.said))
        self._deciding.decide(datasets, f"dataset/{facts.name}", command, caused_by(cause))

    def _pipeline(self, command: pipelines.RegisterPipeline | pipelines.RecordRun, name: str, cause: Event) -> None:
        self._deciding.decide(pipelines, f"pipeline/{name}", command, caused_by(cause))

    def _run(self, number: str, known: Known, all_known: Mapping[Thing, Known], cause: Event) -> None:
        namespace, job = known["job"]
        pipeline = lineage_facts.registry_name(namespace, job)
        before = self._deciding.state(f"pipeline/{pipeline}").runs.get(number)
        newest = {name: self._deciding.state(f"dataset/{name}") for name in _read_and_written(known)}
        versions = {name: one.version if one else 0 for name, one in newest.items()}
        run = lineage_facts.run(number, known, all_known.get(("job", namespace, job), {}), versions, before)
        self._pipeline(pipelines.RecordRun(run, True), pipeline, cause)


def _streams(told: Mapping[Thing, Known], known: Mapping[Thing, Known]) -> dict[str, Decider[Any, Any]]:
    """All streams that may be decided on, or have to be known for it."""
    found: dict[str, Decider[Any, Any]] = {}
    for kind, namespace, name in told:
        if kind == "dataset":
            found[f"dataset/{lineage_facts.registry_name(namespace, name)}"] = datasets
            continue
        said = known[kind, namespace, name]
        job = (namespace, name) if kind == "job" else said["job"]
        found[f"pipeline/{lineage_facts.registry_name(*job)}"] = pipelines
        if kind == "run":
            found |= dict.fromkeys((f"dataset/{one}" for one in _read_and_written(said)), datasets)
    return found


def _read_and_written(known: Known) -> list[str]:
    """The data sets of a run, by name."""
    return [lineage_facts.registry_name(*one) for side in ("inputs", "outputs") for one in known.get(side, ())]


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
