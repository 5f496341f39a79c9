"""Deployer and monitor together, with nothing but the log between them: what the monitor measures of the answers turns
the traffic, and what no model said is not measured."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.deployer.service import DEFINITION as DEPLOYER
from services.monitor.service import DEFINITION as MONITOR
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.events.monitor import OutcomesJoined, WindowMeasured
from shared.events.registry import Artifact, Formula, KpiDefined, ModelRegistered, ModelVersionRegistered
from shared.runtime.commands import now
from tests.component.deployer_given import SUM, Registry, deploy, flights, logged, set_traffic, sum_model
from tests.support import System, running

ROWS = 300
REFERENCE: dict[str, tuple[Any, ...]] = {
    name: tuple(np.linspace(0.0, 20.0, 900).tolist()) for name in ("delay", "hour")
}


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """Versions 1 and 2, trained where delay and hour are 0 to 20; version 1 is deployed as `late`."""
    async with running(DEPLOYER, MONITOR, routes_seconds=0.0) as system:
        registry = Registry(system, tmp_path)
        await registry.state(ModelRegistered(model="late-flights", goal="delays", owner="ada"))
        minutes = Formula(kind="formula", expression="mae * cases")
        await registry.state(
            KpiDefined(kpi="error", goal="delays", unit="min", direction="lower", target=5.0, formula=minutes)
        )
        for version in (1, 2):
            data = sum_model(float(version))
            (tmp_path / f"{version}.onnx").write_bytes(data)
            artifact = Artifact(uri=str(tmp_path / f"{version}.onnx"), sha256=hashlib.sha256(data).hexdigest())
            fact = ModelVersionRegistered(
                model="late-flights",
                version=version,
                artifact=artifact,
                signature=SUM,
                reference=REFERENCE,
                task="regression",
            )
            await registry.state(fact)
            await registry.gate(version, True)
        await system.settle()
        await deploy(system)
        await system.settle()
        yield system


async def ask(system: System, delays: Any, days_ago: float = 3.0) -> dict[str, Any]:
    at = (now() - timedelta(days=days_ago)).isoformat()
    body = flights(*[(float(delay), float(place % 20)) for place, delay in enumerate(delays)], at=at)
    answer = await system.client.post("/v2/models/late/infer", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def on_the_log(system: System, topic: str) -> list[Event]:
    bounds = await system.log.bounds([topic])
    return [decode(record) for place, one in bounds.items() for record in await system.log.read(place, 0, one.end)]


async def drifted(system: System) -> Event:
    """Let the model meet delays that it never saw, and their window close; the drift that was detected first."""
    await ask(system, np.linspace(60.0, 90.0, ROWS))
    await system.settle()
    await ask(system, [1.0], days_ago=0.0)
    await system.settle()
    found = [event for event in await on_the_log(system, "muniment.monitor") if event.type == "DriftDetected"]
    assert found
    return found[0]


async def effects_of(system: System, cause: Event) -> list[str]:
    events = await on_the_log(system, "muniment.deployer")
    return [event.type for event in events if event.causationid == cause.id]


async def test_drift_of_a_canary_holds_it_and_names_its_cause(system: System) -> None:
    canary = {"version": 2, "steps": [100], "step_seconds": 3_600, "guardrails": ["drift"]}
    assert (await system.client.put("/v1/deployments/late/canary", json=canary)).status_code == 200
    await system.settle()
    cause = await drifted(system)
    assert cause.data.version == 2  # type: ignore[attr-defined]
    assert await effects_of(system, cause) == ["Reacted", "CanaryHeld"]
    (reaction, *_) = (await system.client.get("/v1/deployments/late/reactions")).json()["items"][::-1]
    assert (reaction["on"], reaction["did"], reaction["cause"]) == ("drift", "held", cause.id)


async def test_drift_of_a_challenger_rolls_back_by_policy_and_answers_go_on(system: System) -> None:
    policy = {"rules": [{"on": "drift", "do": "roll_back"}]}
    assert (await system.client.put("/v1/deployments/late/reactions", json=policy)).status_code == 200
    await set_traffic(system, 1, (2, 100.0))
    await system.settle()
    cause = await drifted(system)
    assert await effects_of(system, cause) == ["Reacted", "RolledBack"]
    assert (await ask(system, [1.0]))["parameters"]["versions"] == [1]


async def test_a_missed_kpi_of_a_challenger_rolls_back_by_policy(system: System) -> None:
    policy = {"rules": [{"on": "kpi", "do": "roll_back", "names": ["error"]}]}
    assert (await system.client.put("/v1/deployments/late/reactions", json=policy)).status_code == 200
    await set_traffic(system, 1, (2, 100.0))
    await system.settle()
    answer = await ask(system, np.linspace(0.0, 20.0, ROWS))
    await system.settle()
    ids, found = answer["parameters"]["prediction_ids"], answer["outputs"][0]["data"]
    outcomes = [{"prediction_id": one, "value": value + 6.0} for one, value in zip(ids, found, strict=True)]
    assert (await system.client.post("/v1/outcomes", json={"outcomes": outcomes})).status_code == 202
    await system.settle()
    await ask(system, [1.0], days_ago=0.0)
    await system.settle()
    (cause,) = [event for event in await on_the_log(system, "muniment.monitor") if event.type == "KpiBreached"]
    assert await effects_of(system, cause) == ["Reacted", "RolledBack"]
    (reaction,) = (await system.client.get("/v1/deployments/late/reactions")).json()["items"]
    assert (reaction["did"], reaction["cause"]) == ("rolled_back", cause.id)
    assert reaction["reason"] == "error is 6 min, target 5"
    assert (await ask(system, [1.0]))["parameters"]["versions"] == [1]


async def test_a_constant_in_the_models_place_is_on_record_and_measured_as_nobodys_word(
    system: System, tmp_path: Path
) -> None:
    fallback = {"kind": "constant", "outputs": {"p": 0.5}}
    assert (await system.client.put("/v1/deployments/late/fallback", json=fallback)).status_code == 200
    (tmp_path / "1.onnx").write_bytes(b"something else")
    answer = await ask(system, [1.0, 2.0])
    await system.settle()
    outcomes = [{"prediction_id": one, "value": 1.0} for one in answer["parameters"]["prediction_ids"]]
    told = await system.client.post("/v1/outcomes", json={"outcomes": outcomes})
    assert told.status_code == 202, told.text
    await system.settle()
    assert [batch.num_rows for _, batch in await logged(system)] == [2]
    measured = [event.data for event in await on_the_log(system, "muniment.monitor")]
    assert [one for one in measured if isinstance(one, WindowMeasured | OutcomesJoined)] == []
    windows = (await system.client.get("/v1/deployments/late/windows")).json()
    assert windows.get("items", []) == []
