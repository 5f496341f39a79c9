"""The generated AsyncAPI document is valid, complete and the committed one."""

import json
from collections import Counter
from pathlib import Path

from jsonschema import Draft7Validator

from docs.generate import pages
from shared.events.asyncapi import document
from shared.events.catalog import SERVICES, TYPES
from shared.events.every import EVERY

SCHEMA = Path(__file__).parents[2] / "data" / "asyncapi-3.0.0.schema.json"


def test_it_is_valid_asyncapi_3() -> None:
    errors = list(Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(document()))
    assert [f"{list(error.path)}: {error.message[:200]}" for error in errors] == []


def test_every_event_type_stands_on_exactly_one_channel_and_what_each_service_states_on_all_of_them() -> None:
    found = Counter(name for channel in document()["channels"].values() for name in channel["messages"])
    assert found == {name: len(SERVICES) if cls.OWNER == EVERY else 1 for name, cls in TYPES.items()}


def test_the_committed_reference_is_what_the_code_says() -> None:
    for path, text in pages().items():
        assert path.read_text() == text, f"{path.name} is stale: run `make reference`"
