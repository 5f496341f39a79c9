"""What the services make of every type of event is kept by PostgreSQL as it is in memory."""

import inspect
from importlib import import_module
from typing import Any

import pytest

from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.log.memory import MemoryStore
from shared.log.records import Record
from shared.log.tables import Change, Query
from tests.postgres_fixture import PostgresMaker
from tests.replay.samples import PAYLOADS, RECORDED, sample

SERVICES = ("registry", "deployer", "monitor", "feedback", "audit")


def changes_of(project: Any) -> list[Change]:
    """All that a projection makes of the samples, in their order."""
    wants_record = len(inspect.signature(project).parameters) == 2
    changes: list[Change] = []
    for offset, payload in enumerate(PAYLOADS):
        outgoing = encode(sample(payload))
        record = Record("sample", 0, offset, outgoing.key, outgoing.headers, outgoing.value, RECORDED)
        event: Event = decode(record)
        changes += project(event, record) if wants_record else project(event)
    return changes


@pytest.mark.parametrize("name", SERVICES)
async def test_rows_are_the_same_on_postgres_and_in_memory(name: str, postgres: PostgresMaker):
    definition = import_module(f"services.{name}.service").DEFINITION
    changes = changes_of(import_module(f"services.{name}.projection").project)
    assert changes
    on_postgres = await postgres.store(definition.tables, name)
    in_memory = MemoryStore(name, definition.tables)
    for store in (on_postgres, in_memory):
        async with store.begin() as unit:
            await unit.apply(changes)
    for table in definition.tables:
        assert await on_postgres.find(Query(table.name, limit=1000)) == await in_memory.find(
            Query(table.name, limit=1000)
        )
