"""Versions like Git, and decisions, over HTTP: two merges at once, what is tagged and retired, who may move what."""

import asyncio
from typing import Any

from services.registry.service import DEFINITION
from shared.events.envelope import Event
from shared.events.registry import DecisionModelled
from shared.runtime.commands import new_id, now
from tests.support import System, running

SIGNATURE = {"inputs": {"hour": "double"}, "outputs": {"p": "double"}}
MODEL = "/v1/models/late"


def version(digit: str, branch: str, parents: list[int], **params: Any) -> dict[str, Any]:
    return {
        "artifact": {"uri": f"file:///{digit}.onnx", "sha256": digit * 64, "size": int(digit, 16)},
        "signature": SIGNATURE,
        "branch": branch,
        "parents": parents,
        "params": params,
        "reference": {"hour": [float(int(digit, 16))]},
    }


async def send(system: System, method: str, path: str, body: Any, actor: str = "dan", **headers: str) -> Any:
    return await system.client.request(method, path, json=body, headers={"X-Actor": actor} | headers)


async def done(system: System, method: str, path: str, body: Any, actor: str = "dan") -> Any:
    answer = await send(system, method, path, body, actor)
    assert answer.status_code in (200, 201), answer.text
    await system.settle()
    return answer.json()


async def get(system: System, path: str) -> Any:
    answer = await system.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def branched(system: System) -> None:
    """Version 1 on main, 2 and 3 on branches of their own that change different parameters, made alike."""
    await done(system, "POST", "/v1/models", {"name": "late"})
    await done(system, "POST", f"{MODEL}/versions", version("a", "main", [], C=1, seed=7))
    await done(system, "POST", f"{MODEL}/versions", version("b", "anna", [1], C=2, seed=7))
    await done(system, "POST", f"{MODEL}/versions", version("c", "bert", [1], C=1, seed=8))


async def test_two_people_merge_at_once_and_one_of_them_is_told() -> None:
    async with running(DEFINITION) as system:
        await branched(system)
        assert (await get(system, f"{MODEL}/branches"))["items"][1] == {"branch": "bert", "version": 3}
        merge = f"{MODEL}/branches/main/merge"
        bodies = [{"source": "anna", "onto": 1}, {"source": "bert", "onto": 1}]
        answers = await asyncio.gather(*(send(system, "POST", merge, body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        [won] = [answer.json() for answer in answers if answer.status_code == 201]
        [lost] = [answer.json() for answer in answers if answer.status_code == 409]
        assert (won["version"], lost["type"], lost["head"]) == (4, "urn:muniment:problem:branch-moved", 4)
        await system.settle()
        winner = won["merged"]["theirs"]
        other = "bert" if winner == 2 else "anna"
        again = {"source": other, "onto": 4, "resolve": {"artifact": "theirs"}}
        second = await done(system, "POST", merge, again)
        merged = await get(system, f"{MODEL}/versions/5")
        assert (merged["params"], merged["parents"]) == ({"C": 2, "seed": 8}, [4, 3 if winner == 2 else 2])
        assert second["merged"]["won"][f"params.{'seed' if winner == 2 else 'C'}"] == "theirs"
        reference = await get(system, f"{MODEL}/versions/5/reference")
        assert reference["reference"] == {"hour": [12.0 if winner == 2 else 11.0]}
        history = await get(system, f"{MODEL}/versions/5/history")
        assert [one["version"] for one in history["items"]] == [5, 4, 3, 2, 1]


async def test_what_both_changed_is_listed_and_nothing_is_registered() -> None:
    async with running(DEFINITION) as system:
        await branched(system)
        await done(system, "POST", f"{MODEL}/versions", version("d", "main", [1], C=5, seed=7))
        answer = await send(system, "POST", f"{MODEL}/branches/main/merge", {"source": "anna"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:muniment:problem:merge-conflicts")
        found = {one["item"]: one for one in answer.json()["conflicts"]}
        assert set(found) == {"params.C", "artifact"}
        assert [found["params.C"][side] for side in ("base", "ours", "theirs")] == [1, 5, 2]
        assert (await get(system, MODEL))["versions"] == 4
        trained = version("e", "any", [])
        body = {"source": "anna", "resolve": {"params.C": {"value": 3}}, "trained": trained}
        merged = await done(system, "POST", f"{MODEL}/branches/main/merge", body)
        assert merged["merged"]["won"] == {"params.C": "given", "artifact": "given"}
        compared = await get(system, f"{MODEL}/versions/4/diff/5")
        assert (compared["params"]["changed"]["C"], compared["size"]) == (
            {"a": 5, "b": 3},
            {"a": 13, "b": 14, "change": 1},
        )
        for body in ({}, {"source": "anna", "version": 2}):
            assert (await send(system, "POST", f"{MODEL}/branches/main/merge", body)).status_code == 422
        assert (await send(system, "POST", f"{MODEL}/branches/main/merge", {"source": "carl"})).status_code == 404


async def test_tags_keep_their_history() -> None:
    async with running(DEFINITION) as system:
        await branched(system)
        tag = f"{MODEL}/versions/2/tags/checked"
        await done(system, "PUT", tag, {"value": "no", "reason": "new"})
        await done(system, "PUT", tag, {"value": "yes", "reason": "looked"}, actor="eve")
        await done(system, "PUT", f"{MODEL}/tags/team", {"value": "ops"})
        said = await get(system, tag)
        assert said["value"] == "yes"
        moves = [(one["actor"], one["before"], one["after"], one["reason"]) for one in said["items"]]
        assert moves == [("eve", "no", "yes", "looked"), ("dan", None, "no", "new")]
        assert (await get(system, f"{MODEL}/versions/2"))["tags"] == {"checked": "yes"}
        assert (await get(system, MODEL))["tags"] == {"team": "ops"}
        await done(system, "PUT", tag, {"value": None})
        assert (await get(system, tag))["value"] is None
        assert (await send(system, "PUT", f"{MODEL}/versions/9/tags/x", {"value": "y"})).status_code == 404


async def test_what_is_retired_stays_and_opens_no_gate() -> None:
    async with running(DEFINITION) as system:
        await branched(system)
        await done(system, "POST", f"{MODEL}/versions/2/evidence", {"kind": "quality", "name": "auc", "passed": True})
        assert (await get(system, f"{MODEL}/versions/2/gate?stage=staging"))["allowed"]
        await done(system, "PUT", f"{MODEL}/aliases/best", {"version": 2})
        assert (await send(system, "POST", f"{MODEL}/versions/2/retire", {"reason": ""})).status_code == 422
        await done(system, "POST", f"{MODEL}/versions/2/retire", {"reason": "biased"})
        gate = await get(system, f"{MODEL}/versions/2/gate?stage=staging")
        assert [rule["reason"] for rule in gate["rules"] if rule["rule"] == "not-retired"] == [
            "The version was retired: biased."
        ]
        assert not gate["allowed"]
        seen = await get(system, f"{MODEL}/versions/2")
        assert (seen["retired"], seen["aliases"]) == ("biased", [])
        [moved, *_] = (await get(system, f"{MODEL}/aliases/best"))["items"]
        assert (moved["after"], moved["reason"]) == (None, "version 2 retired: biased")
        again = await send(system, "PUT", f"{MODEL}/aliases/best", {"version": 2})
        assert (again.status_code, again.json()["type"]) == (409, "urn:muniment:problem:retired")


async def test_champion_is_moved_by_those_who_may_and_through_the_gate() -> None:
    async with running(DEFINITION) as system:
        await branched(system)
        body = {"version": 1, "reason": "first"}
        engineer = await send(system, "PUT", f"{MODEL}/aliases/champion", body, **{"X-Roles": "software_engineer"})
        assert engineer.status_code == 403
        closed = await send(system, "PUT", f"{MODEL}/aliases/champion", body, **{"X-Roles": "data_scientist"})
        assert (closed.status_code, closed.json()["type"]) == (409, "urn:muniment:problem:gate-closed")
        assert {rule["rule"] for rule in closed.json()["rules"] if not rule["passed"]} >= {"goal-stated"}
    async with running(DEFINITION, alias_gates={}, alias_roles={"best": ("devops",)}) as system:
        await branched(system)
        assert (await done(system, "PUT", f"{MODEL}/aliases/champion", body))["type"] == "AliasMoved"
        other = await send(system, "PUT", f"{MODEL}/aliases/best", body, **{"X-Roles": "data_scientist"})
        assert other.status_code == 403


async def test_decisions_and_the_models_that_inform_them_are_seen_from_both_sides() -> None:
    async with running(DEFINITION) as system:
        await branched(system)
        await done(system, "POST", "/v1/models", {"name": "weather", "technique": "trees"})
        hold = {"name": "hold", "question": "Hold it?", "models": [{"model": "late", "how": "p > 0.3"}]}
        await done(system, "POST", "/v1/decisions", hold)
        await done(system, "POST", "/v1/decisions", {"name": "rebook", "question": "Rebook?", "requires": ["hold"]})
        seen = await get(system, "/v1/decisions/hold")
        assert seen["required_by"] == ["rebook"]
        assert [(one["model"], one["how"], one["newest_version"]) for one in seen["models"]] == [("late", "p > 0.3", 3)]
        assert [one["name"] for one in (await get(system, MODEL))["decisions"]] == ["hold"]
        await done(system, "POST", "/v1/decisions", hold | {"models": [{"model": "weather"}]})
        assert (await get(system, "/v1/decisions?model=late"))["items"] == []
        assert [one["name"] for one in (await get(system, "/v1/decisions?model=weather"))["items"]] == ["hold"]
        seen = await get(system, "/v1/decisions/hold")
        assert ([one["version"] for one in seen["versions"]], seen["models"][0]["technique"]) == ([2, 1], "trees")
        assert [one["name"] for one in (await get(system, "/v1/decisions"))["items"]] == ["hold", "rebook"]
        wrong = await send(system, "POST", "/v1/decisions", hold | {"models": [{"model": "latte"}]})
        assert (wrong.status_code, wrong.json()["nearby"]) == (404, ["late", "weather"])
        wrong = await send(system, "POST", "/v1/decisions", hold | {"requires": ["rebok"]})
        assert (wrong.status_code, wrong.json()["type"]) == (404, "urn:muniment:problem:unknown-decision")
        assert wrong.json()["nearby"] == ["rebook"]
        round_about = await send(system, "POST", "/v1/decisions", hold | {"requires": ["rebook"]})
        assert (round_about.status_code, "hold → rebook → hold" in round_about.json()["detail"]) == (422, True)


async def test_a_requirement_of_old_that_nobody_stated_is_told() -> None:
    async with running(DEFINITION) as system:
        fact = DecisionModelled(decision="rebook", version=1, question="?", owner="ana", requires=("hold",))
        event = Event(new_id(), "/muniment/registry", "decision/rebook", now(), 1, "ana", fact)
        async with system.stores["registry"].begin() as unit:
            await unit.append("decision/rebook", 0, [event])
        await system.settle()
        assert (await get(system, "/v1/decisions/rebook"))["requires_missing"] == ["hold"]
        await done(system, "POST", "/v1/decisions", {"name": "hold", "question": "Hold it?"})
        assert (await get(system, "/v1/decisions/rebook"))["requires_missing"] == []
