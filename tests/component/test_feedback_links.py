"""Signed links, attachments, duplicates and limits: one click flags once, and nobody is cut off without a word."""

import asyncio
from typing import Any

from services.feedback.service import DEFINITION
from tests.component.feedback_given import flag, predictions, stated
from tests.support import System, running


async def link(system: System, body: dict[str, Any]) -> dict[str, Any]:
    answer = await system.client.post("/v1/flag-links", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_a_link_flags_once_without_an_account() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system)
        await system.settle()
        made = await link(system, flag(f"{batch}-1", expected=1, actor="crew 7"))
        shown = await system.client.get(made["path"])
        assert shown.status_code == 200
        assert f"{batch}-1: missed" in shown.text
        assert await stated(system, "FeedbackFlagged") == []  # looking flags nothing
        used = await system.client.post(made["path"], headers={"X-Actor": "mallory", "Origin": "https://app.example"})
        assert used.status_code == 201, used.text
        await system.settle()
        seen = (await system.client.get(f"/v1/flags/{used.json()['id']}")).json()
        assert (seen["raised_by"], seen["via"], seen["expected"], seen["version"]) == ("crew 7", "link", 1, 1)
        [event] = await stated(system, "FlagLinkUsed")
        assert event.data.issuer == "ada"
        again = await system.client.post(made["path"])
        assert code(again) == (410, "link-used")
        assert code(await system.client.get(made["path"])) == (410, "link-used")
        assert again.json()["flag"] == used.json()["id"]


async def test_two_clicks_at_once_are_one_flag() -> None:
    async with running(DEFINITION) as system:
        made = await link(system, flag("flight-7"))
        answers = await asyncio.gather(*(system.client.post(made["path"]) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201, 410, 410, 410, 410]
        assert len(await stated(system, "FeedbackFlagged")) == 1


async def test_a_link_that_was_changed_or_is_over_says_so() -> None:
    async with running(DEFINITION) as system:
        made = await link(system, flag("flight-7"))
        path = made["path"]
        other = path[:-1] + ("A" if path[-1] != "A" else "B")
        for wrong in (other, path[:-3], f"{path}.x", "/v1/flag-links/none"):
            assert code(await system.client.post(wrong)) == (403, "link-not-genuine")
            assert code(await system.client.get(wrong)) == (403, "link-not-genuine")
        assert code(await system.client.post("/v1/flag-links", json=flag("x", expires_seconds=10**9))) == (
            422,
            "link-too-long",
        )
        assert code(await system.client.post("/v1/flag-links", json=flag("x", expires_seconds=0)))[0] == 422


async def test_a_flag_carries_files_by_their_digest() -> None:
    async with running(DEFINITION, max_attachment_bytes=100) as system:
        kind = {"Content-Type": "image/png"}
        kept = (await system.client.post("/v1/attachments", content=b"picture", headers=kind)).json()
        assert (await system.client.post("/v1/attachments", content=b"picture")).json()["sha256"] == kept["sha256"]
        files = [{"sha256": kept["sha256"], "name": "delay.png"}]
        raised = await system.client.post("/v1/flags", json=flag("flight-7", attachments=files))
        await system.settle()
        seen = (await system.client.get(f"/v1/flags/{raised.json()['id']}")).json()
        assert seen["attachments"] == [
            {"sha256": kept["sha256"], "name": "delay.png", "media_type": "image/png", "bytes": 7}
        ]
        back = await system.client.get(f"/v1/attachments/{kept['sha256']}")
        assert (back.content, back.headers["content-type"]) == (b"picture", "image/png")
        assert (back.headers["content-disposition"], back.headers["x-content-type-options"]) == (
            "attachment",
            "nosniff",
        )
        big = await system.client.post("/v1/attachments", content=b"x" * 101)
        assert code(big) == (413, "attachment-too-large")
        unknown = flag("flight-8", attachments=[{"sha256": "0" * 64, "name": "x"}])
        assert code(await system.client.post("/v1/flags", json=unknown)) == (422, "unknown-attachment")
        assert code(await system.client.get(f"/v1/attachments/{'0' * 64}")) == (404, "unknown-attachment")


async def test_the_same_said_again_is_the_same_flag() -> None:
    async with running(DEFINITION) as system:
        first = (await system.client.post("/v1/flags", json=flag("flight-7", comment="late"))).json()
        again = await system.client.post("/v1/flags", json=flag("flight-7", comment="late"))
        assert (again.status_code, again.json()["duplicate"], again.json()["id"]) == (200, True, first["id"])
        other = {"X-Actor": "ben"}
        assert (await system.client.post("/v1/flags", json=flag("flight-7"), headers=other)).status_code == 201
        assert (await system.client.post("/v1/flags", json=flag("flight-7", comment="no"))).status_code == 201
        assert len(await stated(system, "FeedbackFlagged")) == 3


async def test_the_same_said_at_once_is_one_flag_until_it_is_answered() -> None:
    """Of a slice, a model or a pipeline too; in a list as alone."""
    async with running(DEFINITION) as system:
        body = {"model": "m", "category": "biased", "expected": {"b": [1], "a": 2}}
        many = {"flags": [body, body, flag("flight-7")]}
        both = await asyncio.gather(
            system.client.post("/v1/flags", json=body),
            system.client.post("/v1/flags:bulk", json=many),
            system.client.post("/v1/flags", json=body),
        )
        assert {answer.status_code for answer in both} <= {200, 201}
        names = {both[0].json()["id"], both[2].json()["id"], *(one["id"] for one in both[1].json()["items"][:2])}
        assert len(names) == 1
        assert len(await stated(system, "FeedbackFlagged")) == 2
        answer = {"resolution": "works_as_intended", "comment": "as it should"}
        await system.client.post(f"/v1/flags/{names.pop()}/resolve", json=answer)
        once_more = await system.client.post("/v1/flags", json=body)
        assert (once_more.status_code, once_more.json()["duplicate"]) == (201, False)
        too_large = {**body, "expected": 10**40}
        assert code(await system.client.post("/v1/flags", json=too_large)) == (422, "not-plain")


async def test_a_flood_is_limited_and_every_refusal_is_told() -> None:
    async with running(DEFINITION, flags_per_minute=20) as system:
        answers = [await system.client.post("/v1/flags", json=flag(f"flight-{number}")) for number in range(30)]
        taken = [answer for answer in answers if answer.status_code == 201]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert (len(taken), len(refused)) == (20, 10)
        assert code(refused[0]) == (429, "too-many-flags")
        assert 0 < int(refused[0].headers["retry-after"]) <= 60
        assert len(await stated(system, "FeedbackFlagged")) == 20
        other = {"X-Actor": "ben"}
        assert (await system.client.post("/v1/flags", json=flag("flight-0"), headers=other)).status_code == 201
        many = {"flags": [flag(f"f-{number}") for number in range(21)]}
        assert code(await system.client.post("/v1/flags:bulk", json=many, headers={"X-Actor": "cem"}))[0] == 429


async def test_flags_on_a_slice_a_version_and_a_pipeline() -> None:
    async with running(DEFINITION) as system:
        await predictions(system)
        await system.settle()
        what = {"category": "biased", "severity": "critical", "comment": "see"}
        sliced = {"deployment": "d", "version": 1, "segment": "AA"}
        for body in ({"slice": sliced}, {"model": "m", "version": 1}, {"pipeline": "flights"}):
            assert (await system.client.post("/v1/flags", json=what | body)).status_code == 201
        await system.settle()
        items = (await system.client.get("/v1/flags")).json()["items"]
        found = {item["target"]: item for item in items}
        assert set(found) == {"slice", "model", "pipeline"}
        assert (found["slice"]["model"], found["slice"]["version"], found["slice"]["located"]) == ("m", 1, True)
        assert found["slice"]["slice"]["where"] == [{"column": "segment", "op": "=", "value": "AA"}]
        assert found["pipeline"]["pipeline"] == "flights"
        bad = {"slice": {"deployment": "d", "where": [{"column": "carrier", "value": 1}]}}
        assert code(await system.client.post("/v1/flags", json=what | bad)) == (422, "bad-condition")
