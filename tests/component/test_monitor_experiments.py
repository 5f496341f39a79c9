"""Experiments over the monitor's API: registered, measured, judged, ended."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.events import batches, deployer
from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.events.monitor import ExperimentConcluded, ExperimentStarted, GuardrailBreached
from shared.log.records import TopicPartition
from shared.runtime.commands import new_id
from tests.component.judged_story import get, judging, predict, tell
from tests.component.monitor_story import AT
from tests.support import System

PATH = "/v1/deployments/loans/experiments"
BOOST = {"name": "boost", "minimum_effect": 20.0, "at": "2013-04-01T00:00:00Z"}


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with judging() as running:
        yield running


async def start(system: System, status: int = 201, **changed: Any) -> dict[str, Any]:
    answer = await system.client.post(PATH, json=BOOST | changed)
    assert answer.status_code == status, answer.text
    await system.settle()
    return answer.json()


async def cases(system: System, version: int, rows: int, wrong: float, name: str = "loans") -> None:
    """Predictions of which this share is missed (300 USD each), and the others right."""
    missed = np.arange(rows) < wrong * rows
    late = missed | (np.arange(rows) % 2 == 0)
    chance = np.where(missed, 0.1, late.astype(float))
    segment = np.where(np.arange(rows) % 3 == 0, "north", "south")
    batch = await predict(system, name, version, output__chance=chance, segment=segment)
    await tell(system, batch, late.astype(float))


async def close(system: System) -> None:
    """Let the first day's windows close, by a prediction of the third day."""
    times = pa.array([AT + timedelta(days=2)], batches.TIMESTAMP)
    await predict(system, "loans", 1, at=times, output__chance=np.array([0.5]))
    await system.settle()


async def stated(system: System, kind: type) -> list[Any]:
    records = await system.log.read(TopicPartition("muniment.monitor", 0), 0, 10_000)
    return [event for event in map(decode, records) if isinstance(event.data, kind)]


async def test_an_experiment_is_registered_measured_and_won(system: System) -> None:
    told = await start(system, hypothesis="boosting misses fewer")
    assert (told["experiment"], told["counts_from"], told["planned_cases"]) == ("boost", "2013-04-01T00:00:00Z", None)
    await cases(system, 1, 4_000, 0.3)
    await system.settle()
    found = await get(system, f"{PATH}/boost")
    assert (found["running"], found["decided"], [one["cases"] for one in found["arms"]]) == (True, None, [4_000, 0])
    await cases(system, 2, 1_000, 0.1)
    await close(system)
    found = await get(system, f"{PATH}/boost")
    assert (found["running"], found["verdict"], found["winner"]) == (False, "treatment", 2)
    control, treatment = found["arms"]
    assert (control["mean"], treatment["mean"], treatment["difference"]) == (90.0, 30.0, -60.0)
    assert treatment["money"]["so_far"]["difference"] == -60_000.0
    assert treatment["money"]["if_all"]["difference"] == -300_000.0
    assert treatment["low"] < -60 < treatment["high"] < 0
    assert found["sample_ratio"] == {"p_value": 1.0, "mismatch": False}
    assert [(one["group"], [arm["cases"] for arm in one["arms"]]) for one in found["segments"]] == [
        ("north", [1_334, 334]),
        ("south", [2_666, 666]),
    ]
    (plan,), (end,) = await stated(system, ExperimentStarted), await stated(system, ExperimentConcluded)
    assert (plan.data.treatments[0].share, plan.data.hypothesis) == (0.2, "boosting misses fewer")
    assert (end.data.verdict, end.data.results[1].difference, end.actor) == ("treatment", -60.0, "monitor")
    assert (plan.time.isoformat(), end.time.isoformat()) == ("2013-04-01T00:00:00+00:00", "2013-04-02T00:00:00+00:00")
    (listed,) = (await get(system, PATH))["registered"]
    assert (listed["experiment"], listed["verdict"], listed["started_by"]) == ("boost", "treatment", "ada")


async def test_the_past_of_the_control_plans_the_cases(system: System) -> None:
    await cases(system, 1, 2_000, 0.3)
    await system.settle()
    told = await start(system, at="2013-04-02T00:00:00Z")
    assert 1_000 < told["planned_cases"] < 100_000
    await system.settle()
    assert (await get(system, f"{PATH}/boost"))["cases"] == 0


async def test_a_window_that_began_before_the_experiment_does_not_count(system: System) -> None:
    told = await start(system, at="2013-04-01T00:00:01Z")
    assert told["counts_from"] == "2013-04-02T00:00:00Z"
    await cases(system, 1, 500, 0.3)
    await system.settle()
    assert (await get(system, f"{PATH}/boost"))["cases"] == 0


async def test_guardrails_that_break_are_events(system: System) -> None:
    await start(system, guardrails=[{"quality": "recall", "limit": 0.6}, {"kpi": "loss", "limit": 500.0}])
    await cases(system, 1, 2_000, 0.3)
    await cases(system, 2, 500, 0.35)
    await close(system)
    (breach,) = await stated(system, GuardrailBreached)
    assert (breach.data.version, breach.data.guardrail, breach.data.limit) == (2, "recall", 0.6)
    found = await get(system, f"{PATH}/boost")
    assert [(one["guardrail"], one["version"]) for one in found["guardrails"]] == [("recall", 2)]
    assert found["running"]


async def test_a_traffic_that_is_not_shared_as_planned_makes_it_invalid(system: System) -> None:
    await start(system)
    await cases(system, 1, 2_000, 0.3)
    await cases(system, 2, 2_000, 0.1)
    await close(system)
    found = await get(system, f"{PATH}/boost")
    assert (found["verdict"], found["winner"], found["sample_ratio"]["mismatch"]) == ("invalid", None, True)
    assert "Sample ratio mismatch" in found["reason"]


async def test_a_change_of_the_arms_interrupts(system: System) -> None:
    await start(system)
    after = deployer.Traffic(champion=1, challengers=(deployer.Share(version=2, percent=50.0),))
    before = deployer.Traffic(champion=1, challengers=(deployer.Share(version=2, percent=20.0),))
    moved = deployer.TrafficChanged(deployment="loans", model="loans", before=before, after=after)
    event = Event(new_id(), "/muniment/deployer", "deployment/loans", AT, 2, "ana", moved, recorded=AT)
    await system.log.publish("muniment.deployer", [encode(event)])
    await system.settle()
    found = await get(system, f"{PATH}/boost")
    assert (found["running"], found["verdict"]) == (False, "interrupted")


async def test_an_experiment_is_stopped_by_hand_once(system: System) -> None:
    await start(system)
    again = await system.client.post(PATH, json=BOOST | {"name": "second"})
    assert (again.status_code, again.json()["running"]) == (409, "boost")
    answer = await system.client.post(f"{PATH}/boost/stop", json={"reason": "holidays"})
    assert answer.status_code == 200, answer.text
    await system.settle()
    found = await get(system, f"{PATH}/boost")
    assert (found["verdict"], found["reason"], found["concluded_by"]) == ("stopped", "holidays", "ada")
    assert (await system.client.post(f"{PATH}/boost/stop")).status_code == 409


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"minimum_effect": 0}, 422, "invalid-request"),
        ({"kpi": "los"}, 422, "unknown-kpi"),
        ({"treatments": [3]}, 409, "no-challenger"),
        ({"treatments": [2, 2]}, 201, ""),
        ({"guardrails": [{"limit": 1.0}]}, 422, "bad-guardrail"),
        ({"guardrails": [{"quality": "recal", "limit": 1.0}]}, 422, "bad-guardrail"),
        ({"guardrails": [{"kpi": "loss", "limit": -1.0}]}, 422, "bad-guardrail"),
        ({"at": "2013-04-01T00:00:00"}, 422, "time-without-zone"),
    ],
)
async def test_a_bad_plan_is_refused(system: System, changed: dict[str, Any], status: int, code: str) -> None:
    answer = await system.client.post(PATH, json=BOOST | changed)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["type"].endswith(code), answer.text


async def test_what_does_not_exist_is_404_with_what_is_near(system: System) -> None:
    await start(system)
    answer = await system.client.get(f"{PATH}/boots")
    assert (answer.status_code, answer.json()["nearby"]) == (404, ["boost"])
    assert (await system.client.get("/v1/deployments/loan/experiments/boost")).status_code == 404
    assert (await system.client.post("/v1/deployments/loan/experiments", json=BOOST)).status_code == 404


async def test_judging_twice_states_nothing_twice(system: System) -> None:
    await start(system)
    await cases(system, 1, 4_000, 0.3)
    await cases(system, 2, 1_000, 0.1)
    await close(system)
    for periodic in system.parts["monitor"].periodic:
        if periodic.name == "monitor.experiments":
            await periodic.job()
    await system.settle()
    assert len(await stated(system, ExperimentConcluded)) == 1
