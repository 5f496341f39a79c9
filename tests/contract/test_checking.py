"""The views of every service, checked against a replay of the log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.log.memory import MemoryStore
from shared.runtime.checking import Outcome, check_views
from tests.component.whole_story import DEFINITIONS, Story, told

NAMES = tuple(DEFINITIONS)


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with told(tmp_path, partitions=3, check_pause_seconds=0.0) as story:
        yield story


async def checked(story: Story, name: str) -> Outcome:
    definition = DEFINITIONS[name]
    return await check_views(definition, story.system.services[name], MemoryStore(f"{name}_check", definition.tables))


@pytest.mark.parametrize("name", NAMES)
async def test_views_are_what_the_log_gives(story: Story, name: str):
    outcome = await checked(story, name)
    print(outcome)
    assert (outcome.verdict, outcome.first_difference, outcome.reason) == ("equal", None, None)
    assert outcome.live_digest == outcome.replayed_digest
    assert outcome.records
    assert sum(table.live_rows for table in outcome.tables)
