"""The views of every service, checked against a replay of the log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from msgspec.structs import replace

from shared.log.memory import MemoryStore
from shared.log.records import Outgoing, TopicPartition
from shared.log.tables import Row, Table
from shared.runtime.checking import Difference, Outcome, check_views
from tests.component.whole_story import DEFINITIONS, Story, told


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with told(tmp_path, partitions=3, check_pause_seconds=0.0) as story:
        yield story


async def checked(story: Story, name: str) -> Outcome:
    definition = DEFINITIONS[name]
    return await check_views(definition, story.system.services[name], MemoryStore(f"{name}_check", definition.tables))


def altered(kind: str, value: Any) -> Any:
    """The least that can be changed of a value."""
    match kind:
        case "text":
            return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "\x01"
        case "integer" | "bigint":
            return value ^ 1
        case "double":
            return -value if value else 5e-324
        case "boolean":
            return not value
        case "timestamp":
            return value + timedelta(microseconds=1)
        case "bytes":
            return value[:-1] + bytes([value[-1] ^ 1]) if value else b"\x01"
        case _:
            return {"altered": value}


def change_one(table: Table, rows: dict[tuple[Any, ...], Row]) -> Difference | None:
    """Alter the last value of the first row."""
    key = min(rows)
    columns = [name for name in table.columns if name not in table.key and rows[key].get(name) is not None]
    if not columns:
        return None
    rows[key][columns[-1]] = altered(table.columns[columns[-1]], rows[key][columns[-1]])
    return Difference(table.name, dict(zip(table.key, key, strict=True)), "changed", columns[-1])


def delete_one(table: Table, rows: dict[tuple[Any, ...], Row]) -> Difference:
    key = max(rows)
    del rows[key]
    return Difference(table.name, dict(zip(table.key, key, strict=True)), "deleted")


def insert_one(table: Table, rows: dict[tuple[Any, ...], Row]) -> Difference:
    """The first row once more, under another key."""
    key = min(rows)
    other = (altered(table.columns[table.key[0]], key[0]), *key[1:])
    rows[other] = rows[key] | dict(zip(table.key, other, strict=True))
    return Difference(table.name, dict(zip(table.key, other, strict=True)), "inserted")


async def test_views_are_what_the_log_gives(story: Story):
    for name in DEFINITIONS:
        outcome = await checked(story, name)
        assert (outcome.verdict, outcome.first_difference, outcome.reason) == ("equal", None, None)
        assert outcome.live_digest == outcome.replayed_digest
        assert outcome.records
        assert sum(table.live_rows for table in outcome.tables)


@pytest.mark.parametrize("alter", [change_one, delete_one, insert_one])
async def test_a_row_altered_in_any_view_is_found_and_located(story: Story, alter: Callable[..., Difference | None]):
    for name, definition in DEFINITIONS.items():
        store = story.system.stores[name]
        sound = deepcopy(store.committed.rows)
        merged = definition.merging
        expected = [
            found
            for table in definition.tables
            if not table.work and table.name not in merged and store.committed.rows[table.name]
            if (found := alter(table, store.committed.rows[table.name])) is not None
        ]
        outcome = await checked(story, name)
        store.committed.rows = sound
        assert (outcome.verdict, outcome.code) == ("different", 1)
        first, wanted = outcome.first_difference, expected[0]
        assert first is not None
        assert (first.table, first.key, first.what, first.column) == (
            wanted.table,
            wanted.key,
            wanted.what,
            wanted.column,
        )
        assert {table.name: table.differing for table in outcome.tables if table.differing} == {
            one.table: 1 for one in expected
        }
        assert outcome.live_digest != outcome.replayed_digest


async def test_a_flipped_bit_in_a_window_is_found(story: Story):
    rows = story.system.stores["monitor"].committed.rows["window_states"]
    key = next(key for key, row in rows.items() if row["state"])
    for place in (0, len(rows[key]["state"]) // 2, len(rows[key]["state"]) - 1):
        sound = rows[key]["state"]
        rows[key]["state"] = sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :]
        first = (await checked(story, "monitor")).first_difference
        rows[key]["state"] = sound
        assert first is not None
        assert (first.table, first.what) == ("window_states", "changed")
        assert first.key == dict(zip(("deployment", "version", "window_start"), key, strict=False))


async def test_work_in_hand_is_not_compared(story: Story):
    outcome = await checked(story, "audit")
    names = {table.name for table in outcome.tables}
    assert "ledger" in names
    assert not names & {"verifications", "tree_published"}


async def test_what_waits_among_the_dead_letters_is_in_neither_side(story: Story):
    garbage = [Outgoing("model/late", (), b"?"), Outgoing("model/other", (), b"?")]
    await story.system.log.publish("muniment.registry", garbage)
    await story.system.settle()
    await story.post("/v1/models/late/aliases/best", method="PUT", version=2)  # it waits behind the first
    outcome = await checked(story, "registry")
    assert (outcome.verdict, outcome.reason, outcome.dead_letters) == ("equal", None, 3)


async def test_a_record_that_only_the_live_consumer_could_apply_leaves_it_open(story: Story):
    place = TopicPartition("muniment.registry", crc32(b"goal/warn") % 3)
    kept = story.system.log._records[place]
    sound = kept[0]
    kept[0] = replace(sound, headers=())
    outcome = await checked(story, "registry")
    assert outcome.verdict != "equal"
    assert outcome.reason is not None
    assert "could not apply muniment.registry" in outcome.reason


async def test_a_log_that_lost_its_beginning_cannot_be_compared_with(story: Story):
    place = TopicPartition("muniment.registry", crc32(b"goal/warn") % 3)
    story.system.log._records[place].clear()
    outcome = await checked(story, "registry")
    assert (outcome.verdict, outcome.code) == ("could not tell", 2)
    assert outcome.reason


async def test_a_row_that_goes_on_changing_is_said_to_be_unsettled(story: Story):
    service = story.system.services["registry"]
    service.settings = service.settings.model_copy(update={"check_pause_seconds": 0.02, "check_rounds": 3})
    rows = story.system.stores["registry"].committed.rows["goals"]

    async def go_on() -> None:
        number = 0
        while True:
            number += 1
            rows["warn",]["question"] = f"Is it {number}?"
            await asyncio.sleep(0.001)

    going_on = asyncio.create_task(go_on())
    await asyncio.sleep(0.01)
    outcome = await checked(story, "registry")
    going_on.cancel()
    assert (outcome.verdict, outcome.looks, outcome.first_difference) == ("could not tell", 3, None)
    assert outcome.reason is not None
    assert "unsettled: 1 rows" in outcome.reason
    assert {table.name: table.unsettled for table in outcome.tables if table.unsettled} == {"goals": 1}
