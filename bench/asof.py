"""What audit answers about a past instant, at MUNIMENT_BENCH_EVENTS control events beside 10,000 of the same world.

Fifty deployments stay what they are; what grows is what was said about them: traffic that moved, gates, aliases,
windows, flags, and the entries of batches of 1,000 predictions, one for ten events. Answers keep their size, so cost
should too. The target speaks of 1,000,000 events and 100,000,000 predictions, which take ten minutes to make: without
MUNIMENT_BENCH_EVENTS there are 200,000, and the line says so.
Asked over HTTP of one API process, one question after another, about random times of the year (as the record stands
now) and about random record times (as it was known then). Batches that are asked about lie in Kafka; of the others the
ledger has the entry, as it would.
"""

import os
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import httpx
from msgspec.structs import replace

from bench.given import ARTIFACT, ROWS, SIGNATURE, table
from bench.line import Line
from bench.stack import Stack
from devstack import processes
from services.audit.projection import FOLDED, fold, inserts
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER
from shared.events import batches, deployer, feedback, monitor, registry
from shared.events.catalog import TOPIC_PREDICTIONS, TOPICS, topic_of
from shared.events.codec import encode
from shared.events.envelope import Event, Payload
from shared.log.records import Record
from shared.runtime.commands import new_id
from shared.runtime.service import Service
from shared.runtime.wiring import ports

SMALL, LARGE = 10_000, int(os.environ.get("MUNIMENT_BENCH_EVENTS", "200000"))
BATCHES = LARGE // 10
DEPLOYMENTS, VERSIONS, ASKED, QUESTIONS, WARM = 50, 4, 100, 150, 20
CHUNK = 5_000
START = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
SECONDS, LEAST = 50.0, 30
"""How long the questions of one size are asked at most, if LEAST of each kind have been."""
MOST_MS = 50.0


@dataclass(slots=True)
class World:
    """Makes events one after another, each recorded a little later than it happened, all within one year."""

    chance: random.Random = field(default_factory=lambda: random.Random(2013))
    sequences: dict[str, int] = field(default_factory=dict[str, int])
    champions: list[int] = field(default_factory=lambda: [1] * DEPLOYMENTS)
    offset: int = 0

    def event(self, subject: str, payload: Payload, at: datetime, name: str | None = None) -> Event:
        self.sequences[subject] = self.sequences.get(subject, 0) + 1
        recorded = at + timedelta(seconds=self.chance.uniform(0.01, 2))
        source, sequence = f"/muniment/{payload.OWNER}", self.sequences[subject]
        return Event(name or new_id(), source, subject, at, sequence, "ana", payload, recorded=recorded)

    def opening(self) -> Iterator[Event]:
        """What stays: a goal, its KPI, a data set, and for each deployment a model whose versions were let through."""
        yield self.event("goal/g", registry.GoalStated(goal="g", question="?", owner="ana"), START)
        formula = registry.Formula(kind="cost")
        kpi = registry.KpiDefined(kpi="k", goal="g", unit="USD", direction="lower", formula=formula)
        yield self.event("kpi/k", kpi, START)
        yield self.event("dataset/d", registry.DatasetRegistered(dataset="d", version=1, uri="x"), START)
        for number in range(DEPLOYMENTS):
            model, subject = f"m{number}", f"model/m{number}"
            yield self.event(subject, registry.ModelRegistered(model=model, goal="g", owner="ana"), START)
            for version in range(1, VERSIONS + 1):
                yield from self._version(model, version)
            traffic = deployer.Traffic(champion=1)
            live = deployer.Deployed(
                deployment=f"d{number}",
                model=model,
                version=1,
                environment="production",
                runtime=deployer.Runtime(kind="external"),
                artifact=ARTIFACT,
                traffic=traffic,
            )
            yield self.event(f"deployment/d{number}", live, START)

    def _version(self, model: str, version: int) -> Iterator[Event]:
        subject, data = f"model/{model}", (registry.DatasetRef(dataset="d", version=1),)
        code = registry.Code(repo="git:bench", commit="c0ffee")
        yield self.event(
            subject,
            registry.ModelVersionRegistered(
                model=model, version=version, artifact=ARTIFACT, signature=SIGNATURE, training_data=data, code=code
            ),
            START,
        )
        name = new_id()
        evidence = registry.EvidenceRecorded(
            model=model, version=version, evidence=name, kind="quality", name="auc", passed=True
        )
        yield self.event(subject, evidence, START, name)
        name = new_id()
        approval = registry.ApprovalGranted(model=model, version=version, approval=name, role="risk_manager")
        yield self.event(subject, approval, START, name)
        yield self.event(subject, self._gate(model, version), START)

    def _gate(self, model: str, version: int) -> registry.GateChanged:
        rule = registry.Rule(rule="approval", passed=True, reason="approved")
        return registry.GateChanged(model=model, version=version, stage="production", allowed=True, rules=(rule,))

    def history(self, start: datetime, end: datetime, events: int) -> Iterator[Event]:
        """So many events between two times, spread evenly."""
        for number in range(events):
            yield self._one(number, start + (end - start) * (number / events))

    def _one(self, turn: int, at: datetime) -> Event:
        chance, number = self.chance, self.chance.randrange(DEPLOYMENTS)
        model, deployment = f"m{number}", f"d{number}"
        version = chance.randint(1, VERSIONS)
        match turn % 10:
            case 0 | 1 | 2 | 3:
                before, after = self.champions[number], version
                self.champions[number] = after
                change = deployer.Promoted if turn % 2 else deployer.RolledBack
                moved = change(
                    deployment=deployment,
                    model=model,
                    before=deployer.Traffic(champion=before),
                    after=deployer.Traffic(champion=after, shadows=(after % VERSIONS + 1,)),
                )
                return self.event(f"deployment/{deployment}", moved, at)
            case 4:
                return self.event(f"model/{model}", self._gate(model, version), at)
            case 5:
                alias = registry.AliasMoved(model=model, alias="champion", before=None, after=version)
                return self.event(f"model/{model}", alias, at)
            case 6 | 7 | 8:
                hour = at.replace(minute=0, second=0, microsecond=0)
                place = {"deployment": deployment, "model": model, "version": version}
                window = monitor.WindowMeasured(
                    **place,
                    window_start=hour,
                    window_end=hour + timedelta(hours=1),
                    revision=0,
                    predictions=1_000,
                    outcomes=900,
                )
                return self.event(f"window/{deployment}/{version}", window, at)
            case _:
                flag = feedback.FlagCommented(flag=f"f{turn % 1_000}", comment="?")
                return self.event(f"flag/f{turn % 1_000}", flag, at)

    def batch(self, at: datetime, name: str) -> Event:
        number = self.chance.randrange(DEPLOYMENTS)
        place = {"deployment": f"d{number}", "model": f"m{number}", "version": self.chance.randint(1, VERSIONS)}
        logged = monitor.PredictionLogged(**place, rows=ROWS, start=at, end=at)
        return Event(name, "/muniment/monitor", f"batch/{name}", at, 0, "ana", logged, recorded=at, table=b"")

    def record(self, event: Event) -> Record:
        self.offset += 1
        outgoing = encode(event)
        topic = topic_of(event.data)
        return Record(topic, 99, self.offset, outgoing.key, outgoing.headers, outgoing.value, event.recorded or START)


async def measure(stack: Stack) -> list[Line]:
    world = World()
    async with ports(DEFINITION, stack.settings) as service:
        asked = [batch async for batch in _asked(world, service)]
        await _all_read(service)
        port = stack.process("audit", ["-m", "services.audit", "api"])
        pid = processes.running(stack.folder, "audit")
        assert pid is not None
        cut = START + YEAR * (SMALL / LARGE)
        await _fill(world, service, [*world.opening(), *world.history(START, cut, SMALL)])
        small = await _ask(port, pid, asked, START, cut)
        names = ((START + YEAR * (number / BATCHES), new_id()) for number in range(BATCHES))
        logged = (world.batch(at, name) for at, name in names)
        await _fill(world, service, chain(world.history(cut, START + YEAR, LARGE - SMALL), logged))
        await _vacuum(stack)
        large = await _ask(port, pid, asked, START, START + YEAR)
    return [_line(what, small[what], large[what]) for what in large]


async def _asked(world: World, service: Service) -> AsyncIterator[str]:
    """Batches whose rows the log really has, happened at the year's beginning."""
    for number in range(ASKED):
        rows, name = table(number), new_id()
        event = replace(world.batch(START, name), table=batches.write(rows))
        outgoing = encode(event)
        ((partition, offset),) = await service.log.publish(TOPIC_PREDICTIONS, [outgoing])
        place = (TOPIC_PREDICTIONS, partition, offset)
        record = Record(*place, outgoing.key, outgoing.headers, outgoing.value, event.recorded or START)
        async with service.store.begin() as unit:
            await unit.apply(inserts([fold(event, record)]))
        yield name


async def _all_read(service: Service) -> None:
    """The ledger has all that the log holds, as if its consumer had written it: answers claim what it has read."""
    bounds = await service.log.bounds(TOPICS)
    claims = await service.store.claim(LEDGER, list(bounds))
    async with service.store.begin() as unit:
        await unit.advance(LEDGER, {claim: bounds[place].end for place, claim in claims.items()})


async def _fill(world: World, service: Service, events: Iterable[Event]) -> None:
    async with service.store.loading([one.name for one in FOLDED]):
        chunk = []
        for event in events:
            chunk.append(fold(event, world.record(event)))
            if len(chunk) == CHUNK:
                await _write(service, chunk)
                chunk = []
        await _write(service, chunk)


async def _write(service: Service, chunk: list) -> None:
    async with service.store.begin() as unit:
        await unit.apply(inserts(chunk))


async def _vacuum(stack: Stack) -> None:
    """What autovacuum does within a minute: figures for the planner, and which pages all can see."""
    import asyncpg

    connection = await asyncpg.connect(stack.settings.postgres)
    await connection.execute("VACUUM ANALYZE audit.view_ledger")
    await connection.execute("VACUUM ANALYZE audit.view_edges")
    await connection.close()


@dataclass(slots=True)
class Asked:
    """`milliseconds` of each question; `worked`: milliseconds of processor of the API process, for all."""

    milliseconds: list[float] = field(default_factory=list[float])
    bytes: int = 0
    worked: float = 0.0

    def mean(self, total: float) -> float:
        return total / len(self.milliseconds)

    def percentile(self, share: float) -> float:
        return sorted(self.milliseconds)[int(len(self.milliseconds) * share)]


def _processor(pid: int) -> float:
    """Milliseconds that a process has worked, in the clock's ticks of 10 ms: of use over many questions."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000 / os.sysconf("SC_CLK_TCK")


async def _ask(port: int, pid: int, asked: list[str], start: datetime, end: datetime) -> dict[str, Asked]:
    chance, found = random.Random(1), dict[str, Asked]()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        until = time.perf_counter() + SECONDS
        for number in range(WARM + QUESTIONS):
            if time.perf_counter() > until and number >= WARM + LEAST:
                break
            moment = (start + (end - start) * chance.uniform(0.05, 1)).isoformat()
            prediction = f"/v1/lineage/prediction/{chance.choice(asked)}-{chance.randrange(ROWS)}"
            for what, path, query in (
                ("estate as of a past time", "/v1/estate", {"at": moment}),
                ("estate as it was known", "/v1/estate", {"known_at": moment}),
                ("lineage of a prediction", prediction, {}),
                ("lineage as it was known", prediction, {"known_at": moment}),
            ):
                before, worked = time.perf_counter(), _processor(pid)
                answer = await client.get(path, params=query)
                taken, worked = (time.perf_counter() - before) * 1_000, _processor(pid) - worked
                assert answer.is_success, answer.text
                if number >= WARM:
                    one = found.setdefault(what, Asked())
                    one.milliseconds.append(taken)
                    one.bytes += len(answer.content)
                    one.worked += worked
    return found


def _line(what: str, small: Asked, large: Asked) -> Line:
    p99, p50 = large.percentile(0.99), large.percentile(0.5)
    grown, size = p50 / small.percentile(0.5), large.mean(large.bytes) / small.mean(small.bytes)
    figures = (
        f"{LARGE:,} events, {BATCHES * ROWS:,} predictions: p99 {p99:.1f} ms, p50 {p50:.1f} ms,"
        f" {small.mean(small.worked):.0f} then {large.mean(large.worked):.0f} ms of processor in the API;"
        f" history x{LARGE // SMALL}: p50 x{grown:.2f},"
        f" answer x{size:.2f} ({large.mean(large.bytes) / 1_000:.0f} kB); {len(large.milliseconds)} questions"
    )
    return Line(what, MOST_MS / p99, f"{MOST_MS:g} ms at p99", 1, figures)
