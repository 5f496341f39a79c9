"""Views on PostgreSQL checked beside the live ones, in a scratch schema of which nothing stays."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.events.catalog import TOPIC_OUTCOMES, TOPIC_PREDICTIONS
from shared.events.registry import GoalStated
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_scratch import InUse, scratch_store
from shared.log.postgres_store import PostgresStore
from shared.log.records import Outgoing
from shared.runtime.checking import Outcome, check_views
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running, relayed_topics
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from tests.component.whole_story import DEFINITIONS, told
from tests.postgres_fixture import PostgresMaker
from tests.replay.samples import sample
from tests.support import System, drain

SETTINGS = Settings(check_pause_seconds=0.05)


@dataclass(slots=True)
class OnPostgres:
    """The services on PostgreSQL, their workers idle but for `settle`."""

    maker: PostgresMaker
    log: PostgresLog
    services: dict[str, Service]

    async def settle(self) -> None:
        for name, service in self.services.items():
            for consumer in DEFINITIONS[name].consumers(service):
                await drain(consumer, SETTINGS)

    async def check(self, name: str) -> Outcome:
        definition = DEFINITIONS[name]
        async with scratch_store(self.maker.dsn, self.maker.schema(name), definition.tables) as scratch:
            return await check_views(definition, self.services[name], scratch)

    async def run(self, sql: str, *names: str) -> Any:
        """One statement as the owner of the database; `{name}` is the schema of a service."""
        connection = await asyncpg.connect(self.maker.dsn)
        try:
            return await connection.fetch(sql.format(**{name: f'"{self.maker.schema(name)}"' for name in names}))
        finally:
            await connection.close()

    async def copy(self, system: System) -> None:
        """Everything that another system has in its streams and its log."""
        for name, store in system.stores.items():
            for events in store.committed.streams.values():
                for event in events:
                    async with self.services[name].store.begin() as unit:
                        await unit.append(event.subject, None if not event.sequence else event.sequence - 1, [event])
        for topic in (TOPIC_PREDICTIONS, TOPIC_OUTCOMES):
            for place, bound in (await system.log.bounds([topic])).items():
                for record in await system.log.read(place, 0, bound.end):
                    await self.log.publish(topic, [Outgoing(record.key, record.headers, record.value)])


@pytest.fixture
async def system(postgres: PostgresMaker) -> OnPostgres:
    sources = {topic: name for name in DEFINITIONS for topic in relayed_topics(name)}
    stores: dict[str, PostgresStore] = {
        name: await postgres.store(one.tables, name) for name, one in DEFINITIONS.items()
    }
    log = await postgres.log(sources)
    services = {
        name: Service(name, SETTINGS, store, log, MemoryLive(), CommandLoop(name, store))
        for name, store in stores.items()
    }
    return OnPostgres(postgres, log, services)


@pytest.mark.parametrize("load_lag", [20_000, 0], ids=["with indexes", "indexes at the end"])
async def test_every_service_is_what_its_log_gives_and_the_scratch_schema_goes(
    system: OnPostgres, tmp_path: Path, load_lag: int
):
    for service in system.services.values():
        service.settings = SETTINGS.model_copy(update={"consumer_load_lag": load_lag})
    async with told(tmp_path) as story:
        await system.copy(story.system)
    await system.settle()
    for name in DEFINITIONS:
        outcome = await system.check(name)
        if name != "audit":  # whose tree is written by its sequencer, which does not run here
            assert (outcome.verdict, outcome.first_difference, outcome.reason) == ("equal", None, None)
            assert outcome.live_digest == outcome.replayed_digest
        else:
            assert {one.name for one in outcome.tables if one.differing} <= {
                "checkpoints",
                "tree_runs",
                "tree_tiles",
                "tree_covered",
                "tree_holes",
            }
    left = await system.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%_check'")
    left += await system.run("SELECT rolname FROM pg_roles WHERE rolname LIKE '%_check'")
    assert left == []


async def test_what_was_altered_in_the_database_is_named(system: OnPostgres):
    await goal(system, "warn")
    await goal(system, "hold")
    await system.settle()
    await system.run("UPDATE {registry}.view_goals SET question = 'Is it now?' WHERE name = 'hold'", "registry")
    first = (await system.check("registry")).first_difference
    assert first is not None
    assert (first.table, first.key, first.column) == ("goals", {"name": "hold"}, "question")
    assert (first.live, first.replayed) == ("Is it now?", "Is it so?")
    await system.run("DELETE FROM {registry}.view_goals WHERE name = 'hold'", "registry")
    first = (await system.check("registry")).first_difference
    assert first is not None
    assert (first.key, first.what) == ({"name": "hold"}, "deleted")


async def test_a_scratch_schema_of_a_killed_check_is_no_hindrance_and_two_checks_are(system: OnPostgres):
    await goal(system, "warn")
    await system.settle()
    schema = system.maker.schema("registry")
    await system.run(f'CREATE SCHEMA "{schema}_check"')
    await system.run(f'CREATE TABLE "{schema}_check".events (nonsense text)')
    assert (await system.check("registry")).verdict == "equal"
    async with scratch_store(system.maker.dsn, schema, ()):
        with pytest.raises(InUse, match="already"):
            await system.check("registry")


async def test_a_live_system_that_goes_on_is_no_difference(system: OnPostgres):
    await goal(system, "before")
    await system.settle()
    part = Running(DEFINITIONS["registry"], system.services["registry"], relays=False)
    await part.start()
    stop = asyncio.Event()

    async def go_on() -> int:
        number = 0
        while not stop.is_set():
            number += 1
            await goal(system, f"goal-{number}")
        return number

    going_on = asyncio.create_task(go_on())
    outcomes = [await system.check("registry") for _ in range(3)]
    stop.set()
    stated = await going_on
    await part.stop()
    assert [one.verdict for one in outcomes] == ["equal"] * 3, [str(one) for one in outcomes]
    assert stated


async def goal(system: OnPostgres, name: str) -> None:
    payload = GoalStated(goal=name, question="Is it so?", owner="maria")
    event = sample(payload)
    async with system.services["registry"].store.begin() as unit:
        renamed = type(event)(f"{name}.{event.id}", event.source, f"goal/{name}", event.time, 1, event.actor, payload)
        await unit.append(f"goal/{name}", 0, [renamed])
