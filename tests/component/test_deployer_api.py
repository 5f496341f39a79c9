"""Deployments over HTTP: what runs where, by whose word, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.deployer.service import DEFINITION
from tests.component.deployer_given import Registry, deploy, registered, set_traffic
from tests.support import System, running

URL = "/v1/deployments"


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        yield system


@pytest.fixture
async def registry(system: System, tmp_path: Path) -> Registry:
    """A model with versions 1 to 3; the gate is open for 1 and 2, and closed for 3."""
    return await registered(system, tmp_path, 3, closed=3)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["type"] == f"urn:muniment:problem:{code}"
    assert answer.headers["content-type"] == "application/problem+json"
    return body


async def test_a_deployment_is_told_by_whom_and_since_when(system: System, registry: Registry) -> None:
    at = "2026-03-01T12:00:00.000000Z"
    body = await deploy(system, at=at, runtime={"kind": "onnx"}, resources={"cpu": 2, "replicas": 3})
    assert (body["type"], body["sequence"], body["traffic"]["champion"]) == ("Deployed", 1, 1)
    await system.settle()
    answer = await system.client.get(f"{URL}/late", params={"after": body["event_id"]})
    found = answer.json()
    assert (found["champion"], found["champion_by"], found["state"]) == (1, "ada", "active")
    assert found["champion_since"] == "2026-03-01T12:00:00Z"
    assert found["resources"] == {"cpu": 2.0, "memory_mib": None, "replicas": 3, "cost_per_hour": None}
    assert [step["type"] for step in found["history"]] == ["Deployed"]


async def test_a_list_pages_and_filters(system: System, registry: Registry) -> None:
    for name in ("b", "a", "c"):
        await deploy(system, name=name, environment="production" if name == "a" else "test")
    await system.settle()
    first = (await system.client.get(URL, params={"limit": 2})).json()
    assert [item["name"] for item in first["items"]] == ["a", "b"]
    second = (await system.client.get(URL, params={"limit": 2, "cursor": first["next"]})).json()
    assert ([item["name"] for item in second["items"]], second["next"]) == (["c"], None)
    found = (await system.client.get(URL, params={"environment": "test"})).json()
    assert [item["name"] for item in found["items"]] == ["b", "c"]
    assert (await system.client.get(URL, params={"model": "none"})).json()["items"] == []


async def test_the_whole_life(system: System, registry: Registry) -> None:
    await deploy(system)
    await set_traffic(system, 1, (2, 10.0), sticky_by="entity", reason="canary")
    promoted = await system.client.post(f"{URL}/late/promote", json={"reason": "won"}, headers={"X-Actor": "dora"})
    assert promoted.json()["traffic"]["champion"] == 2
    assert promoted.json()["traffic"]["challengers"] == [{"version": 1, "percent": 0.0}]
    back = await system.client.post(f"{URL}/late/rollback")
    assert back.json()["traffic"]["champion"] == 1
    retired = await system.client.post(f"{URL}/late/retire", json={"reason": "replaced"})
    assert retired.json()["state"] == "retired"
    await system.settle()
    found = (await system.client.get(f"{URL}/late")).json()
    steps = [(step["type"], step["actor"], step["reason"]) for step in reversed(found["history"])]
    assert steps == [
        ("Deployed", "ada", ""),
        ("TrafficChanged", "ada", "canary"),
        ("Promoted", "dora", "won"),
        ("RolledBack", "ada", ""),
        ("Retired", "ada", "replaced"),
    ]
    assert (found["state"], found["champion"]) == ("retired", 1)


async def test_a_closed_gate_is_told_with_its_rules(system: System, registry: Registry) -> None:
    wanted = {"name": "late", "model": "late-flights", "version": 3, "environment": "production"}
    body = problem(await system.client.post(URL, json=wanted), 409, "gate-closed")
    assert body["versions"] == [3]
    assert body["rules"] == [
        {"version": 3, "rule": "quality", "passed": False, "reason": "No evidence.", "evidence": [], "exception": None}
    ]
    await system.settle()
    assert (await system.client.get(URL)).json()["items"] == []


async def test_a_gate_that_opens_is_waited_for(system: System, registry: Registry) -> None:
    event_id = await registry.gate(3, True)
    await system.settle()
    wanted = {"name": "late", "model": "late-flights", "version": 3, "environment": "production"}
    answer = await system.client.post(URL, json=wanted, params={"after": event_id})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("wanted", [{"champion": 3}, {"champion": 1, "challengers": [{"version": 3, "percent": 1}]}])
async def test_the_gate_guards_the_traffic_too(system: System, registry: Registry, wanted: dict[str, Any]) -> None:
    await deploy(system)
    body = problem(await system.client.put(f"{URL}/late/traffic", json=wanted), 409, "gate-closed")
    assert [rule["version"] for rule in body["rules"]] == [3]


async def test_unknown_names_are_told_with_those_nearby(system: System, registry: Registry) -> None:
    wanted = {"name": "late", "model": "late-flight", "version": 1, "environment": "test"}
    assert problem(await system.client.post(URL, json=wanted), 404, "unknown-model")["nearby"] == ["late-flights"]
    wanted |= {"model": "late-flights", "version": 7}
    assert problem(await system.client.post(URL, json=wanted), 404, "unknown-version")["nearby"] == [3, 2, 1]
    await deploy(system)
    await system.settle()
    for method, path in (
        ("PUT", "/traffic"),
        ("POST", "/promote"),
        ("POST", "/rollback"),
        ("POST", "/retire"),
        ("GET", ""),
    ):
        body = {"champion": 1} if method == "PUT" else None
        answer = await system.client.request(method, f"{URL}/latte{path}", json=body)
        assert problem(answer, 404, "unknown-deployment")["nearby"] == ["late"]


async def test_a_decision_needs_no_view_of_the_deployment(system: System, registry: Registry) -> None:
    """Nothing is settled between the two: the views know no deployment yet."""
    await deploy(system)
    assert (await set_traffic(system, 2))["traffic"]["champion"] == 2


async def test_the_same_again_is_the_same(system: System, registry: Registry) -> None:
    await deploy(system)
    wanted = {"name": "late", "model": "late-flights", "version": 1, "environment": "production"}
    again = await system.client.post(URL, json=wanted)
    assert (again.status_code, again.json()["events"]) == (200, [])
    problem(await system.client.post(URL, json=wanted | {"version": 2}), 409, "deployment-exists")


async def test_what_cannot_be_is_refused(system: System, registry: Registry) -> None:
    await deploy(system)
    problem(await system.client.post(f"{URL}/late/promote", json={}), 409, "no-challenger")
    problem(await system.client.post(f"{URL}/late/promote", json={"version": 2}), 409, "no-challenger")
    problem(await system.client.post(f"{URL}/late/rollback", json={}), 409, "nothing-to-roll-back")
    await system.client.post(f"{URL}/late/retire", json={})
    problem(await system.client.post(f"{URL}/late/retire", json={}), 409, "retired")
    problem(await system.client.put(f"{URL}/late/traffic", json={"champion": 2}), 409, "retired")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"version": 0},
        {"version": "one"},
        {"runtime": {"kind": "docker"}},
        {"runtime": {"kind": "v2"}},
        {"runtime": {"kind": "v2", "url": "ftp://x"}},
        {"runtime": {"kind": "onnx", "url": "http://x"}},
        {"resources": {"replicas": 0}},
        {"resources": {"gpu": 1}},
        {"at": "yesterday"},
        {"at": "2026-03-01T12:00:00"},
        {"at": "2999-01-01T00:00:00Z"},
        {"surprise": 1},
    ],
)
async def test_malformed_deployments_are_refused(system: System, registry: Registry, wrong: dict[str, Any]) -> None:
    wanted = {"name": "late", "model": "late-flights", "version": 1, "environment": "test"}
    answer = await system.client.post(URL, json=wanted | wrong)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "wrong",
    [
        {"challengers": [{"version": 2, "percent": 101}]},
        {"challengers": [{"version": 2, "percent": -1}]},
        {"challengers": [{"version": 1, "percent": 1}]},
        {"challengers": [{"version": 2}]},
        {"shadows": ["x"]},
        {"sticky_by": "delai"},
    ],
)
async def test_malformed_traffic_is_refused(system: System, registry: Registry, wrong: dict[str, Any]) -> None:
    await deploy(system)
    answer = await system.client.put(f"{URL}/late/traffic", json={"champion": 1} | wrong)
    assert answer.status_code == 422, answer.text


async def test_an_idempotency_key_promotes_once(system: System, registry: Registry) -> None:
    await deploy(system)
    await set_traffic(system, 1, (2, 10.0))
    headers = {"Idempotency-Key": "promote-1"}
    first = await system.client.post(f"{URL}/late/promote", json={}, headers=headers)
    second = await system.client.post(f"{URL}/late/promote", json={}, headers=headers)
    assert first.json() == second.json()
    problem(
        await system.client.post(f"{URL}/late/promote", json={"version": 2}, headers=headers),
        422,
        "idempotency-key-reused",
    )


@pytest.mark.parametrize(("role", "status"), [("auditor", 403), ("sme", 403), ("risk_manager", 403), ("devops", 201)])
async def test_only_some_deploy(system: System, registry: Registry, role: str, status: int) -> None:
    wanted = {"name": "late", "model": "late-flights", "version": 1, "environment": "test"}
    answer = await system.client.post(URL, json=wanted, headers={"X-Roles": role})
    assert answer.status_code == status, answer.text


async def test_a_risk_manager_may_roll_back_and_retire(system: System, registry: Registry) -> None:
    await deploy(system)
    await set_traffic(system, 2)
    headers = {"X-Roles": "risk_manager"}
    assert (await system.client.post(f"{URL}/late/rollback", headers=headers)).status_code == 200
    assert (await system.client.post(f"{URL}/late/promote", headers=headers)).status_code == 403
    assert (await system.client.post(f"{URL}/late/retire", headers=headers)).status_code == 200
