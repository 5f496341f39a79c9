"""Deployer and feedback together, with nothing but the log between them: what experts flag turns the traffic."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.deployer.service import DEFINITION as DEPLOYER
from services.feedback.service import DEFINITION as FEEDBACK
from shared.events.codec import decode
from shared.events.envelope import Event
from tests.component.deployer_given import deploy, flights, registered, set_traffic
from tests.support import System, running


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """Version 1 is deployed as `late`; three open flags are too many."""
    async with running(DEPLOYER, FEEDBACK, routes_seconds=0.0, flags_open_threshold=3) as system:
        await registered(system, tmp_path, 2)
        await deploy(system)
        await system.settle()
        yield system


async def flagged(system: System, count: int) -> Event:
    """Flag so many answers; the limit they broke."""
    answer = await system.client.post("/v2/models/late/infer", json=flights(*[(1.0, 2.0)] * count))
    assert answer.status_code == 200, answer.text
    await system.settle()
    for one in answer.json()["parameters"]["prediction_ids"]:
        flag = {"prediction_id": one, "category": "missed", "severity": "high", "comment": "It was late."}
        assert (await system.client.post("/v1/flags", json=flag)).status_code == 201
    await system.settle()
    (breach,) = [event for event in await on_the_log(system, "muniment.feedback") if event.type.endswith("Breached")]
    return breach


async def on_the_log(system: System, topic: str) -> list[Event]:
    bounds = await system.log.bounds([topic])
    return [decode(record) for place, one in bounds.items() for record in await system.log.read(place, 0, one.end)]


async def effects_of(system: System, cause: Event) -> list[str]:
    return [event.type for event in await on_the_log(system, "muniment.deployer") if event.causationid == cause.id]


async def test_flags_on_a_canary_hold_it_and_name_their_cause(system: System) -> None:
    canary = {"version": 2, "steps": [100], "step_seconds": 3_600}
    assert (await system.client.put("/v1/deployments/late/canary", json=canary)).status_code == 200
    cause = await flagged(system, 3)
    assert await effects_of(system, cause) == ["Reacted", "CanaryHeld"]
    (reaction,) = (await system.client.get("/v1/deployments/late/reactions")).json()["items"]
    assert (reaction["on"], reaction["did"], reaction["cause"]) == ("flags", "held", cause.id)


async def test_flags_on_a_challenger_roll_back_by_policy_and_answers_go_on(system: System) -> None:
    policy = {"rules": [{"on": "flags", "do": "roll_back"}]}
    assert (await system.client.put("/v1/deployments/late/reactions", json=policy)).status_code == 200
    await set_traffic(system, 1, (2, 100.0))
    cause = await flagged(system, 3)
    assert await effects_of(system, cause) == ["Reacted", "RolledBack"]
    answer = await system.client.post("/v2/models/late/infer", json=flights((1.0, 2.0)))
    assert answer.json()["parameters"]["versions"] == [1]
