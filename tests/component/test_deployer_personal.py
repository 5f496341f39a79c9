"""Personal values through the gateway: routed and answered in the clear, logged encrypted, for shadows too."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.deployer.service import DEFINITION
from shared.events.registry import Field, Signature
from shared.keyring.sealing import opened
from tests.component.deployer_given import deploy, flights, logged, registered, set_traffic
from tests.support import System, running

INFER = "/v2/models/late/infer"
DELAY = 123_456.25

SIGNATURE = Signature(
    inputs=(Field(name="delay", type="double", personal=True), Field(name="hour", type="double")),
    outputs=(Field(name="p", type="double"),),
)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """Versions 1 and 2 take a personal `delay`; version 1 answers, version 2 is its shadow."""
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 2, signature=SIGNATURE)
        await deploy(system)
        await set_traffic(system, 1, shadows=[2])
        yield system


async def test_answers_are_those_of_the_plain_values_and_the_log_holds_them_encrypted(system: System) -> None:
    one = await system.client.post(INFER, json=flights((DELAY, 1), entity="ada@example.org"))
    assert one.status_code == 200, one.text
    assert one.json()["outputs"][0]["data"] == [DELAY + 1]
    many = await system.client.post(INFER, json=flights((DELAY, 1), (2, 2), entity=["ada@example.org", "bob"]))
    assert many.json()["outputs"][0]["data"] == [DELAY + 1, 4]
    await system.services["deployer"].on_close[0]()  # shadows are asked
    found = await logged(system)
    assert {event.data.version for event, _ in found} == {1, 2}  # type: ignore[attr-defined]
    keyring = system.services["deployer"].keyring
    for event, table in found:
        assert "feature.delay" not in table.schema.names
        assert b"ada@" not in (event.table or b"")
        row = await opened(keyring, table.to_pylist()[0], True)
        assert row is not None
        assert (row.entity, row.features) == ("ada@example.org", {"delay": DELAY})
    token = await keyring.token("ada@example.org")
    assert token is not None
    await keyring.destroy(token)
    erased = [await opened(keyring, table.to_pylist()[0], True) for _, table in found]
    assert {one.state for one in erased if one is not None} == {"erased"}


async def test_a_row_of_nobody_is_refused_before_anything_is_asked_or_logged(system: System) -> None:
    for parameters in ({}, {"entity": ["ada", None]}):
        answer = await system.client.post(INFER, json=flights((1, 1), (2, 2), **parameters))
        assert answer.status_code == 400
        assert "names nobody" in json.dumps(answer.json())
    assert await logged(system) == []


async def test_an_idempotent_answer_is_kept_without_what_was_asked(system: System) -> None:
    body, headers = flights((DELAY, 1), entity="ada@example.org"), {"Idempotency-Key": "k"}
    first = await system.client.post(INFER, json=body, headers=headers)
    again = await system.client.post(INFER, json=body, headers=headers)
    assert first.content == again.content
    other = await system.client.post(INFER, json=flights((1, 1), entity="ada@example.org"), headers=headers)
    assert other.status_code == 422
    assert len([one for one, _ in await logged(system) if one.data.version == 1]) == 1  # type: ignore[attr-defined]
    kept = repr(vars(system.stores["deployer"]))
    assert "ada@example.org" not in kept
    assert str(DELAY) not in kept
