"""A policy that concerns many versions is judged in pieces, and none of them is left out."""

from typing import Any

import pytest

from services.registry import reviewing
from services.registry.domain import models, retiring
from services.registry.service import DEFINITION
from shared.events.registry import ModelRetired, VersionRetired
from tests.component.test_registry_history import done, get, send, version
from tests.support import System, drain, running


async def adopted(system: System, *evidence: str) -> Any:
    answer = await send(system, "POST", "/v1/policies", {"stage": "staging", "evidence": evidence}, "rita")
    assert answer.status_code == 201
    part = system.parts["registry"]
    assert part.relay is not None
    await part.relay.once()
    await drain(system.consumer("registry.views"), system.settings)
    return answer.json()


async def judged_by(system: System, count: int) -> list[int]:
    """The version of the policy that each version's gate was stated by last."""
    await system.settle()
    paths = [f"/v1/models/late/versions/{one}/gate/history?stage=staging&limit=1" for one in range(1, count + 1)]
    return [(await get(system, path))["items"][0]["policy_version"] for path in paths]


async def test_all_are_judged_though_a_piece_holds_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "PIECE", 2)
    async with running(DEFINITION) as system:
        await done(system, "POST", "/v1/models", {"name": "late"})
        await done(system, "POST", "/v1/models", {"name": "small"})
        for _ in range(5):
            await done(system, "POST", "/v1/models/late/versions", version("a", "main", []))
        await done(system, "POST", "/v1/models/small/versions", version("a", "main", []))
        stated = await adopted(system, "quality", "security")
        store = system.stores["registry"]
        assert await store.get("reviews", "small") is None
        assert (await store.get("reviews", "late") or {})["judged"] == 0
        assert await reviewing._piece(system.services["registry"], "late")  # pyright: ignore[reportPrivateUsage]
        assert (await store.get("reviews", "late") or {})["judged"] == 2
        assert await judged_by(system, 5) == [1] * 5
        assert await store.get("reviews", "late") is None
        told = await get(system, "/v1/models/late/versions/5/gate/history?stage=staging&limit=1")
        assert told["items"][0]["actor"] == "rita"
        events = [event for event in await stream(system) if event.causationid == stated["event_id"]]
        assert len(events) == 5


async def test_a_policy_that_comes_in_between_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "PIECE", 2)
    async with running(DEFINITION) as system:
        await done(system, "POST", "/v1/models", {"name": "late"})
        for _ in range(5):
            await done(system, "POST", "/v1/models/late/versions", version("a", "main", []))
        await adopted(system, "quality", "security")
        assert await reviewing._piece(system.services["registry"], "late")  # pyright: ignore[reportPrivateUsage]
        await adopted(system, "compliance")
        assert await judged_by(system, 5) == [2] * 5


async def test_all_versions_of_a_retired_model_are_stated_though_a_piece_holds_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reviewing, "PIECE", 2)
    monkeypatch.setattr(retiring, "PIECE", 2)
    async with running(DEFINITION) as system:
        await done(system, "POST", "/v1/models", {"name": "late"})
        for _ in range(5):
            await done(system, "POST", "/v1/models/late/versions", version("a", "main", []))
        answer = await send(system, "POST", "/v1/models/late/retire", {"reason": "biased"}, "rita")
        assert answer.status_code == 200
        gate = await get(system, "/v1/models/late/versions/1/gate")
        assert gate["rules"][0]["reason"] == "The version was retired: biased."
        assert (await get(system, "/v1/models/late/versions/1"))["retired"] == "biased"
        await system.settle()
        listed = (await get(system, "/v1/models/late/versions"))["items"]
        assert [one["retired"] for one in listed] == ["biased"] * 5
        assert await system.stores["registry"].get("retirements", "late") is None
        events = await stream(system)
        [model] = [event for event in events if isinstance(event.data, ModelRetired)]
        stated = [event for event in events if isinstance(event.data, VersionRetired)]
        assert sorted(event.data.version for event in stated) == [1, 2, 3, 4, 5]
        assert [event.data.version for event in stated if event.causationid == model.id] == [1, 2, 3]
        assert {event.actor for event in stated} == {"rita"}


async def test_a_goal_said_later_reaches_every_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "PIECE", 2)
    monkeypatch.setattr(models, "PIECE", 2)
    async with running(DEFINITION) as system:
        await done(system, "POST", "/v1/models", {"name": "late"})
        for _ in range(5):
            await done(system, "POST", "/v1/models/late/versions", version("a", "main", []))
        await done(system, "POST", "/v1/goals", {"name": "warn", "question": "Late?"})
        answer = await send(system, "POST", "/v1/models", {"name": "late", "goal": "warn"})
        assert answer.status_code == 201
        assert [event["type"] for event in answer.json()["events"]] == ["ModelRegistered", *["GateChanged"] * 2]
        await system.settle()
        for one in range(1, 6):
            [last] = (await get(system, f"/v1/models/late/versions/{one}/gate/history?limit=1"))["items"]
            assert [rule["passed"] for rule in last["rules"] if rule["rule"] == "goal-stated"] == [True]


async def stream(system: System) -> list[Any]:
    async with system.stores["registry"].begin() as unit:
        return await unit.load("model/late")
