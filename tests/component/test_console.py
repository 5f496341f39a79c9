"""The console without a browser: who may come, what is refused, and that every failure is a page in plain words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import ASGITransport, AsyncClient

from console.app import routes
from console.session import Session
from console.speaking import Speaker
from services.feedback.service import DEFINITION as FEEDBACK
from services.monitor.service import DEFINITION as MONITOR
from shared.runtime.identity import Identity, Role, add_key
from tests.component.feedback_given import predictions, stated
from tests.support import System, running

ORIGIN = {"Origin": "http://test", "Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def console(**changed: Any) -> AsyncIterator[System]:
    """Feedback and monitor with the console before them, and a browser that is not signed in."""
    async with running(FEEDBACK, MONITOR, max_wait_seconds=0.2, **changed) as system:
        identity = None if system.settings.api_keys else Identity(system.settings)
        system.app.router.routes.extend(routes(Speaker.within(system.app), identity))
        system.client.headers.pop("X-Actor")
        system.client.headers.update(ORIGIN)
        yield system


async def sign_in(system: System, name: str, then: str = "") -> httpx.Response:
    return await system.client.post(f"/console/sign-in?next={then}", data={"as": name})


async def test_who_is_not_signed_in_is_asked_who_they_are_and_led_back() -> None:
    async with console() as system:
        asked = await system.client.get("/console/flags?state=open")
        assert asked.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fflags%3Fstate%3Dopen"
        back = await sign_in(system, "ana", "%2Fconsole%2Fflags%3Fstate%3Dopen")
        assert (back.status_code, back.headers["location"]) == (303, "/console/flags?state=open")
        kept = back.headers["set-cookie"]
        assert all(word in kept for word in ("HttpOnly", "SameSite=strict", "Path=/console"))
        shown = await system.client.get("/console/flags")
        assert "Signed in as ana" in shown.text
        assert "script" not in shown.headers["content-security-policy"]
        out = await system.client.post("/console/sign-out")
        assert out.headers["location"] == "/console/sign-in"
        assert (await system.client.get("/console/flags")).status_code == 303


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/console\\evil", "/consoleevil:80@x"])
async def test_signing_in_leads_nowhere_else(elsewhere: str) -> None:
    async with console() as system:
        assert (await sign_in(system, "ana", elsewhere)).headers["location"] == "/console"


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("path", ["/console/predictions/p1", "/console/sign-in"])
async def test_a_form_of_another_site_does_nothing(header: dict[str, str], path: str) -> None:
    async with console() as system:
        await sign_in(system, "ana")
        sent = {"as": "mallory", "category": "x", "severity": "low"}
        answer = await system.client.post(path, data=sent, headers=header)
        assert answer.status_code == 403
        assert "other" in answer.text
        assert await stated(system, "FeedbackFlagged") == []


async def test_without_keys_another_machine_is_not_served() -> None:
    async with console() as system:
        await sign_in(system, "ana")
        transport = ASGITransport(system.app, client=("192.0.2.7", 1))
        async with AsyncClient(transport=transport, base_url="http://test", cookies=system.client.cookies) as other:
            for path in ("/console/flags", "/console"):
                answer = await other.get(path)
                assert (answer.status_code, "location" in answer.headers) == (401, False), path
            assert (await other.post("/console/sign-in", data={"as": "ana"})).status_code == 401


async def test_a_key_signs_in_and_a_wrong_one_says_why(tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys", "ana", [Role.SME])
    async with console(api_keys=tmp_path / "keys") as system:
        refused = await sign_in(system, "mun_0_nothing")
        assert (refused.status_code, "not one of those set up here" in refused.text) == (401, True)
        assert (await sign_in(system, "ana")).status_code == 401
        assert (await sign_in(system, key)).status_code == 303
        shown = await system.client.get("/console/flags")
        assert key.split("_")[1] in shown.text
        assert key not in shown.text


async def test_a_prediction_that_is_not_known_can_be_flagged_all_the_same() -> None:
    async with console() as system:
        await sign_in(system, "ana")
        page = await system.client.get("/console/predictions/flight%2F7")
        assert (page.status_code, "not known here, or not yet" in page.text) == (200, True)
        sent = {"category": "missed", "severity": "high", "expected": "1", "key": "k1"}
        for _ in range(2):  # a form that is sent twice
            raised = await system.client.post("/console/predictions/flight%2F7", data=sent)
        await system.settle()
        flag = await system.client.get(raised.headers["location"])
        assert "the flag waits for it" in flag.text
        [event] = await stated(system, "FeedbackFlagged")
        assert (event.actor, event.data.prediction_id, event.data.expected) == ("ana", "flight/7", 1)


async def test_a_flag_carries_a_file_which_is_saved_and_not_shown() -> None:
    async with console() as system:
        await sign_in(system, "ana")
        files = {"file": ("seen.html", b"<script>alert(1)</script>", "text/html")}
        sent = {"category": "missed", "severity": "high"}
        raised = await system.client.post("/console/predictions/p1", data=sent, files=files)
        await system.settle()
        flag = await system.client.get(raised.headers["location"])
        href = flag.text.partition('href="/console/files/')[2].partition('"')[0]
        file = await system.client.get(f"/console/files/{href}")
        assert file.content == b"<script>alert(1)</script>"
        assert file.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in file.headers["content-security-policy"]


async def test_a_file_flags_what_it_lists() -> None:
    async with console() as system:
        await predictions(system, ids=["a", "b", "c"])
        await system.settle()
        await sign_in(system, "ana")
        sent = {"category": "missed", "severity": "low"}
        for name, said in (("list.txt", "neither a .csv nor"), ("list.csv", "unknown columns")):
            files = {"file": (name, b"who\n1\n", "text/plain")}
            answer = await system.client.post("/console/bulks/file", data=sent, files=files)
            assert (answer.status_code in (415, 422), said in answer.text) == (True, True), answer.text
        files = {"file": ("list.csv", b"prediction_id\na\nc\nnone\n", "text/csv")}
        asked = await system.client.post("/console/bulks/file", data=sent, files=files)
        going = await system.client.get(asked.headers["location"])
        assert (going.headers["refresh"], "Requested." in going.text) == ("1", True)
        await system.settle()
        page = await system.client.get(asked.headers["location"])
        assert "refresh" not in page.headers
        assert all(text in page.text for text in ("Completed.", "of 3 listed", "1/missed/low"))


@pytest.mark.parametrize(
    ("path", "sent", "status", "said"),
    [
        ("/bulks", {"deployment": "d", "category": "x", "where": "p is 1"}, 422, "not valid"),
        ("/bulks", {"deployment": "d", "category": "x", "where": "output.p >"}, 422, "is no condition"),
        ("/bulks", {"deployment": "d", "category": "x", "where": "p > 1"}, 422, "is no column"),
        ("/bulks", {"deployment": "d", "category": "x", "from": "yesterday"}, 422, "not valid"),
        ("/bulks/file", {"category": "x"}, 422, "Choose a CSV or Parquet file"),
        ("/predictions/p1", {"category": "x", "severity": "grave"}, 422, "not valid"),
        ("/flags/none/comment", {"comment": "<b>hello</b>"}, 404, "no such flag"),
        ("/flags/none/shout", {"comment": "hello"}, 404, "cannot"),
        ("/flags/none/resolve", {"resolution": "model_defect"}, 422, "not valid"),
        ("/flags/none/merge", {"into": "none"}, 404, "no such flag"),
    ],
)
async def test_what_cannot_be_is_a_page_that_says_so(path: str, sent: dict[str, str], status: int, said: str) -> None:
    async with console() as system:
        await sign_in(system, "ana")
        answer = await system.client.post(f"/console{path}", data=sent)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert said in answer.text
        assert "<b>hello" not in answer.text


async def test_a_torn_form_and_an_odd_cookie_are_no_failure_of_ours() -> None:
    async with console() as system:
        await sign_in(system, "ana")
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        torn = await system.client.post("/console/predictions/p1", content=b"--y\r\nnothing", headers=kind)
        assert (torn.status_code, torn.headers["content-type"]) == (400, "text/html; charset=utf-8")
        for odd in ("nonsense", "bnVsbA==", "eyJhcyI6IiJ9", "eyJhcyI6WzFdfQ=="):
            system.client.cookies.clear()
            system.client.cookies.set("muniment_console", odd)
            assert (await system.client.get("/console/flags")).status_code in (200, 303), odd
        assert (await system.client.get("/console/no/such")).status_code == 404


async def test_a_service_that_does_not_answer_is_told() -> None:
    async with console() as system:
        closed = Speaker.to("http://127.0.0.1:9")
        system.app.router.routes[:0] = routes(closed, None)
        session = Session(actor="ana")
        with pytest.raises(Exception, match="no answer"):
            await closed.ask(session, "GET", "/v1/notices")
        answer = await sign_in(system, "ana")
        assert (answer.status_code, "no answer from" in answer.text) == (502, True)
