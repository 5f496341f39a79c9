"""Triage: who has it and until when, what is the same, what is answered, and who is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.feedback.service import DEFINITION
from tests.component.feedback_given import flag, predictions, stated
from tests.support import System, running

ANA, DAN = {"X-Actor": "ana"}, {"X-Actor": "dan"}


async def raised(system: System, prediction_id: str, **more: Any) -> str:
    answer = await system.client.post("/v1/flags", json=flag(prediction_id, **more), headers=ANA)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def notices(system: System, headers: dict[str, str]) -> list[tuple[str, str]]:
    await system.settle()
    items = (await system.client.get("/v1/notices", headers=headers)).json()["items"]
    return [(item["type"], item["flag"]) for item in reversed(items)]


async def test_the_queue_is_by_due_time_which_follows_from_severity() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 4)
        await system.settle()
        low, critical = (
            await raised(system, f"{batch}-0", severity="low"),
            await raised(system, f"{batch}-1", severity="critical"),
        )
        past = await raised(system, f"{batch}-2", at="2013-07-03T12:00:00Z")
        await system.settle()
        queue = (await system.client.get("/v1/triage")).json()["items"]
        assert [item["id"] for item in queue] == [past, critical, low]
        overdue = (await system.client.get("/v1/triage", params={"overdue": True})).json()["items"]
        assert [item["id"] for item in overdue] == [past]
        due = datetime.now(UTC) + timedelta(days=3)
        body = {"assignee": "dan", "state": "investigating", "due": due.isoformat()}
        assert (await system.client.post(f"/v1/flags/{low}/triage", json=body)).status_code == 200
        await system.settle()
        [mine] = (await system.client.get("/v1/triage", params={"assignee": "dan"})).json()["items"]
        assert (mine["id"], mine["state"], mine["due"]) == (
            low,
            "investigating",
            due.isoformat().replace("+00:00", "Z"),
        )


async def test_who_flagged_and_who_answers_are_told_and_never_of_their_own_words() -> None:
    async with running(DEFINITION) as system:
        name = await raised(system, "flight-7")
        path = f"/v1/flags/{name}"
        await system.client.post(f"{path}/triage", json={"assignee": "dan"})
        await system.client.post(f"{path}/comments", json={"comment": "which gate?"}, headers=DAN)
        await system.client.post(f"{path}/comments", json={"comment": "B7"}, headers=ANA)
        answer = {"resolution": "works_as_intended", "comment": "it left on time"}
        await system.client.post(f"{path}/resolve", json=answer, headers=DAN)
        assert await notices(system, ANA) == [(kind, name) for kind in ("FlagTriaged", "FlagCommented", "FlagResolved")]
        assert await notices(system, DAN) == [("FlagTriaged", name), ("FlagCommented", name)]


async def test_merged_flags_are_answered_together_and_count_once() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 4)
        await system.settle()
        first, second = await raised(system, f"{batch}-0"), await raised(system, f"{batch}-1")
        body = {"into": first, "comment": "the same storm"}
        assert (await system.client.post(f"/v1/flags/{second}/merge", json=body, headers=DAN)).status_code == 200
        for wrong in ({"into": second}, {"into": "none"}):
            refused = await system.client.post(f"/v1/flags/{first}/merge", json=wrong)
            assert refused.status_code == 422, refused.text
        again = await system.client.post(
            f"/v1/flags/{second}/resolve", json={"resolution": "data_defect", "comment": "x"}
        )
        assert (again.status_code, again.json()["type"].rpartition(":")[2]) == (409, "already-merged")
        await system.client.post(
            f"/v1/flags/{first}/resolve", json={"resolution": "data_defect", "comment": "wind"}, headers=DAN
        )
        assert await notices(system, ANA) == [("FlagMerged", second), ("FlagResolved", first)]
        told = (await system.client.get("/v1/rates", params={"deployment": "d"})).json()
        assert (told["flagged"], told["open"]) == (1, 0)


async def test_a_prediction_that_never_comes_is_told_and_found_all_the_same_when_it_does() -> None:
    async with running(DEFINITION, flags_pending_seconds=0.0) as system:
        name = await raised(system, "flight-7")
        await system.settle()
        assert await notices(system, ANA) == [("FlagLapsed", name)]
        assert (await system.client.get(f"/v1/flags/{name}")).json()["state"] == "lapsed"
        await predictions(system, 1, ids=["flight-7"], segment=["AA"])
        assert await notices(system, ANA) == [("FlagLapsed", name), ("FlagLocated", name)]
        seen = (await system.client.get(f"/v1/flags/{name}")).json()
        assert (seen["state"], seen["located"], seen["segment"]) == ("open", True, "AA")
        assert len(await stated(system, "FlagLapsed")) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"assignee": "dan", "due": "0001-01-01T00:00:00Z"},
        {"assignee": "dan", "due": "0001-01-01T00:00:00+14:00"},
        {"assignee": "dan", "due": "9999-12-31T23:59:59-14:00"},
        {"assignee": "dan", "due": "2020-01-01T00:00:00"},
        {"assignee": " "},
        {"assignee": "dan\nada"},
    ],
)
async def test_what_no_queue_could_hold_is_refused(said: dict[str, str]) -> None:
    async with running(DEFINITION) as system:
        raised = (await system.client.post("/v1/flags", json=flag("flight-7"))).json()
        answer = await system.client.post(f"/v1/flags/{raised['id']}/triage", json=said)
        assert answer.status_code == 422, answer.text
        assert await stated(system, "FlagTriaged") == []


async def test_mine_is_what_i_raised_and_what_i_answer() -> None:
    async with running(DEFINITION) as system:
        named = {}
        for actor in ("ana", "eva"):
            answer = await system.client.post("/v1/flags", json=flag("flight-7"), headers={"X-Actor": actor})
            named[actor] = answer.json()["id"]
        await system.client.post(f"/v1/flags/{named['eva']}/triage", json={"assignee": "dan"})
        await system.settle()
        for path, actor, wanted in (("flags", "ana", ["ana"]), ("triage", "dan", ["eva"]), ("triage", "eva", [])):
            answer = await system.client.get(f"/v1/{path}?mine=true", headers={"X-Actor": actor})
            assert [one["raised_by"] for one in answer.json()["items"]] == wanted, path
