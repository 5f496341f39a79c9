"""Canaries by the clock and reactions to what others state, through API and log."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.deployer.service import DEFINITION
from shared.events.catalog import topic_of
from shared.events.codec import decode, encode
from shared.events.envelope import Event, Payload
from shared.events.feedback import FlagThresholdBreached
from shared.events.monitor import DriftDetected, GuardrailBreached, KpiBreached
from shared.log.records import TopicPartition
from shared.runtime.commands import new_id, now
from tests.component.deployer_given import deploy, flights, registered, set_traffic
from tests.support import System, running

PATH = "/v1/deployments/late"
V2 = {"deployment": "late", "model": "late-flights", "version": 2}


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 3)
        await deploy(system)
        await system.settle()
        yield system


async def put(system: System, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await system.client.put(f"{PATH}/{path}", json=body)
    assert answer.status_code == status, answer.text
    await system.settle()
    return answer.json()


async def tell(system: System, payload: Payload, age: timedelta = timedelta()) -> Event:
    """What another service states, so long ago."""
    at = now() - age
    event = Event(
        new_id(), f"/muniment/{payload.OWNER}", f"harm/{new_id()}", at, 1, payload.OWNER, payload, recorded=at
    )
    await system.log.publish(topic_of(payload), [encode(event)])
    await system.settle()
    return event


async def stated(system: System) -> list[Event]:
    records = await system.log.read(TopicPartition("muniment.deployer", 0), 0, 1_000)
    return [decode(record) for record in records]


async def deployment(system: System) -> dict[str, Any]:
    return (await system.client.get(PATH)).json()


def missed(version: int = 2) -> KpiBreached:
    at = now()
    place = V2 | {"version": version, "window_start": at - timedelta(days=1), "window_end": at}
    return KpiBreached(**place, kpi="cost", unit="USD", value=61.0, target=40.0)  # type: ignore[arg-type]


RULES = {"rules": [{"on": "kpi", "do": "roll_back"}, {"on": "flags", "do": "hold"}, {"on": "drift", "do": "warn"}]}


async def test_a_canary_climbs_and_becomes_champion(system: System) -> None:
    body = {"version": 2, "steps": [10, 50], "step_seconds": 0.001, "promote": True, "reason": "faster"}
    told = await put(system, "canary", body)
    assert told["traffic"]["challengers"] == [{"version": 2, "percent": 10.0}]
    found = await deployment(system)
    assert (found["champion"], found["canary_state"]) == (2, None)
    assert [(one["type"], one["actor"]) for one in reversed(found["history"])] == [
        ("Deployed", "ada"),
        ("TrafficChanged", "ada"),
        ("TrafficChanged", "deployer"),
        ("Promoted", "deployer"),
    ]
    assert found["canary_reason"] == "completed: canary of version 2 completed"


async def test_a_canary_is_held_and_resumed_by_hand(system: System) -> None:
    await put(system, "canary", {"version": 2, "steps": [10, 50], "step_seconds": 3600})
    held = await system.client.post(f"{PATH}/canary/hold", json={"reason": "lunch"})
    assert held.status_code == 200, held.text
    await system.settle()
    found = await deployment(system)
    assert (found["canary_state"], found["canary_reason"], found["canary"]["steps"]) == ("held", "lunch", [10.0, 50.0])
    assert (await system.client.post(f"{PATH}/canary/resume")).status_code == 200
    await system.settle()
    assert (await deployment(system))["canary_state"] == "running"
    assert (await system.client.post(f"{PATH}/rollback")).json()["traffic"]["challengers"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("canary", {"version": 9, "steps": [10], "step_seconds": 1}, 404, "unknown-version"),
        ("canary", {"version": 1, "steps": [10], "step_seconds": 1}, 409, "canary-is-champion"),
        ("canary", {"version": 2, "steps": [10, 5], "step_seconds": 1}, 422, "bad-steps"),
        ("canary", {"version": 2, "steps": [101], "step_seconds": 1}, 422, "invalid-request"),
        ("canary", {"version": 2, "steps": [], "step_seconds": 1}, 422, "invalid-request"),
        ("reactions", {"rules": [{"on": "rain", "do": "warn"}]}, 422, "invalid-request"),
        ("fallback", {"kind": "constant"}, 422, "bad-fallback"),
    ],
)
async def test_bad_rollouts_are_refused(system: System, path: str, body: dict, status: int, code: str) -> None:
    answer = await system.client.put(f"{PATH}/{path}", json=body)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, code), answer.text
    assert (await system.client.put(f"/v1/deployments/nobody/{path}", json=body)).status_code in (404, 422)


async def test_a_missed_kpi_rolls_back_once_with_its_cause(system: System) -> None:
    await put(system, "reactions", RULES)
    await set_traffic(system, 1, (2, 50.0))
    await system.settle()
    cause = await tell(system, missed())
    found = await deployment(system)
    assert found["traffic"]["challengers"] == []
    effects = [event for event in await stated(system) if event.causationid == cause.id]
    assert [(event.type, event.actor) for event in effects] == [("Reacted", "deployer"), ("RolledBack", "deployer")]
    (reaction,) = (await system.client.get(f"{PATH}/reactions")).json()["items"]
    assert (reaction["did"], reaction["cause"], reaction["version"]) == ("rolled_back", cause.id, 2)
    assert "cost is 61 USD" in reaction["reason"]
    answer = await system.client.post("/v2/models/late/infer", json=flights((1.0, 2.0)))
    assert answer.json()["model_version"] == "1"
    await tell(system, missed())
    assert len((await system.client.get(f"{PATH}/reactions")).json()["items"]) == 1


async def test_each_trigger_has_its_effect(system: System) -> None:
    await put(system, "reactions", RULES | {"cool_down_seconds": 0})
    await put(system, "canary", {"version": 2, "steps": [10, 50], "step_seconds": 3600, "guardrails": ["guardrail"]})
    start = now()
    place = V2 | {"window_start": start, "window_end": start}
    await tell(system, DriftDetected(**place, feature="hour", statistic="psi", value=0.4, threshold=0.2))  # type: ignore[arg-type]
    await tell(system, FlagThresholdBreached(**V2, open_flags=10, threshold=10))  # type: ignore[arg-type]
    assert (await deployment(system))["canary_state"] == "held"
    broken = GuardrailBreached(**V2, experiment="e", guardrail="recall", value=0.3, limit=0.5, unit="", cases=500)  # type: ignore[arg-type]
    await tell(system, broken)
    items = (await system.client.get(f"{PATH}/reactions")).json()["items"]
    assert [(one["on"], one["did"]) for one in reversed(items)] == [
        ("drift", "warned"),
        ("flags", "held"),
        ("guardrail", "warned"),
    ]


async def test_facts_of_long_ago_of_others_and_before_the_policy_have_no_effect(system: System) -> None:
    await set_traffic(system, 1, (2, 50.0))
    await system.settle()
    await tell(system, missed())
    await put(system, "reactions", RULES)
    await tell(system, missed(), timedelta(days=2))
    await tell(system, missed(3))
    await tell(system, missed().model_copy(update={"deployment": "nobody"}))
    assert (await system.client.get(f"{PATH}/reactions")).json()["items"] == []
    assert (await deployment(system))["traffic"]["challengers"] == [{"version": 2, "percent": 50.0}]


async def test_a_redelivered_fact_and_a_rebuild_react_no_second_time(system: System) -> None:
    await put(system, "reactions", RULES | {"cool_down_seconds": 0})
    await set_traffic(system, 1, (2, 50.0))
    await system.settle()
    start = now()
    place = V2 | {"version": 1, "window_start": start, "window_end": start}
    await tell(system, DriftDetected(**place, feature="hour", statistic="psi", value=0.4, threshold=0.2))  # type: ignore[arg-type]
    assert [event.type for event in await stated(system)][-1] == "Reacted"
    before = len(await stated(system))
    consumer = system.consumer("deployer.reactions")
    await consumer.store.clear_views("deployer.reactions")
    consumer.forget(TopicPartition("muniment.monitor", 0))
    views = system.consumer("deployer.views")
    for topic in views.topics:
        views.forget(TopicPartition(topic, 0))
    await system.settle()
    assert len(await stated(system)) == before
