"""Policies over HTTP: adopted, proposed, read from DMN; exceptions, flags and time; and the policy of the day."""

from datetime import timedelta
from typing import Any

from services.registry.domain import models, policies
from services.registry.domain.gate import InForce
from services.registry.service import DEFINITION
from services.registry.worker import lapsed
from shared.events.codec import encode
from shared.events.deployer import Deployed, Runtime, Traffic
from shared.events.envelope import Event, Payload
from shared.events.feedback import FeedbackFlagged, FlagResolved
from shared.events.registry import Artifact
from shared.runtime.commands import Context, new_id, now
from tests.component.test_registry_api import EVIDENCE, OF_ONE, get, post, registered
from tests.support import System, running
from tests.unit.registry.test_policy_dmn import DMN

APPROVAL = {"decision": "approve", "role": "risk_manager"}
GATE = f"{OF_ONE}/gate"


async def opened(system: System) -> None:
    await registered(system)
    await post(system, f"{OF_ONE}/evidence", EVIDENCE)
    await post(system, f"{OF_ONE}/approvals", APPROVAL, actor="rita")
    await system.settle()
    assert (await get(system, GATE))["allowed"]


async def told(system: System, sequence: int, fact: Payload) -> None:
    """What the feedback service states."""
    event = Event(new_id(), "/muniment/feedback", "flag/f1", now(), sequence, "sam", fact)
    await system.log.publish("muniment.feedback", [encode(event)])
    await system.settle()


def closed(gate: dict[str, Any]) -> list[str]:
    return [rule["rule"] for rule in gate["rules"] if not rule["passed"]]


async def stated(system: System) -> dict[str, Any] | None:
    return await system.stores["registry"].get("gates", "late", 1, "production")


async def test_a_policy_takes_effect_and_the_older_decision_is_explained_by_the_policy_of_its_day() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        before = now().isoformat()
        demands = {"stage": "production", "evidence": ["quality", "security"], "approvals": ["risk_manager"]}
        answer = await post(system, "/v1/policies", demands | {"comment": "after the audit"}, actor="rita")
        assert (answer["state"], answer["version"]) == ("adopted", 1)
        await system.settle()
        assert closed(await get(system, GATE)) == ["evidence-security"]
        then = (await system.client.get(GATE, params={"at": before})).json()
        assert (then["allowed"], then["policy_version"], then["policy"]["evidence"]) == (True, 0, ["quality"])
        history = (await get(system, f"{GATE}/history"))["items"]
        assert [(one["allowed"], one["policy_version"]) for one in history[:2]] == [(False, 1), (True, 0)]
        [version] = (await get(system, "/v1/policies/production/versions"))["items"]
        assert (version["actor"], version["comment"]) == ("rita", "after the audit")
        assert (await get(system, "/v1/policies/production/versions/1"))["policy"]["evidence"] == [
            "quality",
            "security",
        ]
        early = await system.client.get(GATE, params={"at": "2000-01-01T00:00:00Z"})
        assert (early.status_code, early.json()["type"]) == (404, "urn:muniment:problem:no-gate-then")


async def test_a_guarded_policy_takes_two_people() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        table = {
            "inputs": [{"name": "risk_tier"}],
            "rows": [{"evidence": ["quality"]}, {"when": {"risk_tier": '"medium"'}, "evidence": ["security"]}],
        }
        body = {"stage": "production", "table": table, "propose": True}
        answer = await post(system, "/v1/policies", body, actor="rita")
        assert (answer["state"], answer["type"]) == ("proposed", "PolicyProposed")
        decision = f"/v1/policies/production/proposals/{answer['proposal']}/decision"
        refused = await system.client.post(decision, json={"decision": "adopt"}, headers={"X-Actor": "rita"})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:muniment:problem:four-eyes")
        await system.settle()
        assert (await get(system, GATE))["allowed"]
        await post(system, decision, {"decision": "adopt"}, actor="otto")
        await system.settle()
        assert closed(await get(system, GATE)) == ["evidence-security"]
        [proposal] = (await get(system, "/v1/policies/production/proposals"))["items"]
        assert (proposal["state"], proposal["actor"], proposal["decided_by"]) == ("adopted", "rita", "otto")


async def test_a_version_decided_beside_an_adoption_is_judged_again() -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        demands = {"stage": "production", "evidence": ["quality", "security"], "approvals": ["risk_manager"]}
        await post(system, "/v1/policies", demands, actor="rita")
        await system.settle()
        service = system.services["registry"]
        async with service.store.begin() as unit:
            _, state = await service.commands.state_in(unit, models, "model/late")
        given = state.versions[1].registered
        command = models.RegisterVersion(given, None, 0, "ana", new_id(), InForce(policies.DEFAULTS))
        await service.commands.handle(models, "model/late", command, Context("ana", now(), new_id()))
        await system.settle()
        history = (await get(system, "/v1/models/late/versions/2/gate/history"))["items"]
        told = [(one["actor"], one["policy_version"]) for one in history if one["stage"] == "production"]
        assert told == [("ana", 1), ("ana", 0)]


async def test_a_policy_comes_as_dmn() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        await post(system, "/v1/policies", {"stage": "production", "dmn": DMN.format(hit="COLLECT")}, actor="rita")
        found = closed(await get(system, GATE))
        assert found == ["evidence-security", "evidence-performance", "approval-auditor"]
        bad = await system.client.post("/v1/policies", json={"stage": "production", "dmn": "<a"})
        assert (bad.status_code, bad.json()["type"]) == (422, "urn:muniment:problem:bad-dmn")


async def test_a_critical_flag_closes_the_gate_until_it_is_resolved() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        of = {"model": "late", "version": 1, "deployment": "late"}
        await told(system, 1, FeedbackFlagged(flag="f1", prediction_id="p", category="c", severity="critical", **of))
        assert closed(await get(system, GATE)) == ["no-critical-flags"]
        row = await stated(system)
        assert row is not None
        assert row["allowed"] is False
        await told(system, 2, FlagResolved(flag="f1", resolution="data_defect", comment="fixed"))
        row = await stated(system)
        assert row is not None
        assert row["allowed"] is True


async def test_an_exception_opens_the_gate_and_its_withdrawal_closes_it() -> None:
    async with running(DEFINITION) as system:
        await registered(system)
        await post(system, f"{OF_ONE}/approvals", APPROVAL, actor="rita")
        body = {"rule": "evidence-quality", "reason": "the test bench is down", "expires": "2999-01-01T00:00:00Z"}
        refused = await system.client.post(f"{OF_ONE}/exceptions", json=body, headers={"X-Actor": "rita"})
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:muniment:problem:bad-exception")
        body["expires"] = (now() + timedelta(days=366)).isoformat()
        async with running(DEFINITION, exception_days=400) as patient:
            await registered(patient)
            await post(patient, f"{OF_ONE}/approvals", APPROVAL, actor="rita")
            granted = await post(patient, f"{OF_ONE}/exceptions", body, actor="rita")
            gate = await get(patient, GATE)
            assert gate["allowed"]
            assert [one["exception"] for one in gate["rules"] if one["exception"]] == [granted["id"]]
            withdraw = f"{OF_ONE}/exceptions/{granted['id']}/withdraw"
            await post(patient, withdraw, {"reason": "it is up again"}, actor="rita")
            assert closed(await get(patient, GATE)) == ["evidence-quality"]
            await patient.settle()
            [one] = (await get(patient, f"{OF_ONE}/exceptions"))["items"]
            assert (one["actor"], one["withdrawn_because"]) == ("rita", "it is up again")


async def test_conditions_have_to_be_met_where_the_policy_says_so() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        demands = {
            "stage": "production",
            "evidence": ["quality"],
            "approvals": ["risk_manager"],
            "conditions_met": True,
        }
        await post(system, "/v1/policies", demands, actor="rita")
        approval = await post(system, f"{OF_ONE}/approvals", APPROVAL | {"conditions": ["watch drift"]}, actor="rita")
        assert closed(await get(system, GATE)) == ["conditions-met"]
        path = f"{OF_ONE}/approvals/{approval['id']}/conditions"
        await post(system, path, {"condition": "watch drift"}, actor="otto")
        assert (await get(system, GATE))["allowed"]


async def test_what_goes_stale_closes_the_gate_by_itself() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        demands = {"stage": "production", "evidence": ["quality"], "approvals": ["risk_manager"], "evidence_days": 30}
        await post(system, "/v1/policies", demands, actor="rita")
        await post(system, f"{OF_ONE}/evidence", EVIDENCE | {"at": "2020-01-01T00:00:00Z"})
        gate = await get(system, GATE)
        assert closed(gate) == ["evidence-quality"]
        assert "older than 30 days" in next(one["reason"] for one in gate["rules"] if not one["passed"])
        await post(system, f"{OF_ONE}/evidence", EVIDENCE)
        await system.settle()
        ends = await system.stores["registry"].get("gate_ends", "late", 1, "production")
        assert ends is not None
        for later, allowed in ((ends["until"] - timedelta(seconds=1), True), (ends["until"], False)):
            await lapsed(system.services["registry"], later)
            await system.settle()
            row = await stated(system)
            assert row is not None
            assert row["allowed"] is allowed


async def test_a_role_that_one_lacks_grants_nothing() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        headers = {"X-Actor": "dora", "X-Roles": "data_scientist"}
        for path, body in (
            ("/v1/policies", {"stage": "staging"}),
            (f"{OF_ONE}/exceptions", {"rule": "evidence-quality", "reason": "r", "expires": now().isoformat()}),
        ):
            answer = await system.client.post(path, json=body, headers=headers)
            assert answer.status_code == 403, answer.text


async def test_a_proposed_policy_is_tried_on_the_past() -> None:
    async with running(DEFINITION) as system:
        await opened(system)
        deployed = Deployed(
            deployment="late",
            model="late",
            version=1,
            environment="production",
            runtime=Runtime(kind="onnx"),
            artifact=Artifact(uri="file:///m.onnx", sha256="ab" * 32),
            traffic=Traffic(champion=1),
        )
        event = Event(new_id(), "/muniment/deployer", "deployment/late", now(), 1, "devi", deployed)
        await system.log.publish("muniment.deployer", [encode(event)])
        await system.settle()
        demands = {"stage": "production", "evidence": ["quality", "security"], "approvals": ["risk_manager"]}
        tried = await post(system, "/v1/policies/what-if", demands)
        [stopped] = tried["stopped"]
        assert (stopped["event_id"], stopped["allowed_then"], stopped["actor"]) == (event.id, True, "devi")
        assert [rule["rule"] for rule in stopped["rules"]] == ["evidence-security"]
        assert [one["version"] for one in tried["kept_out"]] == [1]
        proposal = await post(system, "/v1/policies", demands | {"propose": True}, actor="rita")
        again = await get(system, f"/v1/policies/production/proposals/{proposal['proposal']}/what-if?model=late")
        assert again["stopped"] == tried["stopped"]
        same = await post(system, "/v1/policies/what-if", demands | {"evidence": ["quality"]})
        assert (same["releases"], same["stopped"], same["let_through"], same["complete"]) == (1, [], [], True)


async def test_a_flag_on_a_model_that_is_not_registered_is_no_dead_letter() -> None:
    async with running(DEFINITION) as system:
        flagged = {"prediction_id": "", "target": "model", "model": "other", "version": 1, "deployment": None}
        said = FeedbackFlagged(flag="f1", category="biased", severity="critical", batch=None, row=None, **flagged)
        await told(system, 1, said)
        assert await system.stores["registry"].waiting_dead_letters() == {}
