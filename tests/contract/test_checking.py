"""The views of every service, checked against a replay of the log."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.log.memory import MemoryStore
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
