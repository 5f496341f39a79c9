"""Reports over HTTP: three formats that say the same, of any moment, and issued ones whose bytes are on record."""

import html
import io
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pypdf
import pytest

from services.audit.reports.register import SET
from services.audit.service import DEFINITION
from tests.component.report_given import HOSTILE, Whole, whole
from tests.support import System, running
from tests.unit.audit.facts import day


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION, partitions=2) as system:
        yield system


@pytest.fixture
async def told(system: System) -> Whole:
    return await whole(system)


async def get(system: System, path: str, status: int = 200, **parameters: Any):
    response = await system.client.get(path, params=parameters)
    assert response.status_code == status, response.text
    return response


async def model(system: System, **parameters: Any) -> dict[str, Any]:
    return (await get(system, "/v1/reports/flights", **parameters)).json()


def statements(document: dict[str, Any]) -> Iterator[str]:
    """Every text that a report's document says."""
    yield document["title"]
    yield document["at"]
    yield document["known_at"]
    for part in document["parts"]:
        yield f"{part['number']} {part['title']}"
        for section in part["sections"]:
            yield section["source"]
            for block in section["blocks"]:
                yield from block_texts(block)
    for one in document["register"]["events"]:
        yield one["event_id"]
        yield one["type"]
    for one in document["register"]["sets"]:
        yield one["sha256"]


def block_texts(block: dict[str, Any]) -> Iterator[str]:
    if block["kind"] == "statement":
        yield block["text"]
    elif block["kind"] == "chart":
        yield from (block["title"], block["caption"])
        yield from re.findall(r"<text[^>]*>([^<]*)</text>", block["svg"])
    else:
        yield from filter(None, (block["title"], *block["columns"]))
        for row in block["rows"]:
            yield from row["cells"]


def squeezed(text: str) -> str:
    """Without white space and the marks that let long words break."""
    return re.sub(r"[\s\u200b]+", "", text)


def text_of_html(page: str) -> str:
    body = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", body))


def text_of_pdf(data: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def section(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for part in document["parts"] for one in part["sections"] if one["name"] == name)


def said(document: dict[str, Any], name: str) -> str:
    return "\n".join(text for block in section(document, name)["blocks"] for text in block_texts(block))


async def test_html_and_pdf_say_everything_that_json_says(system: System, told: Whole):
    moment = {"at": day(60).isoformat(), "known_at": day(60).isoformat()}
    document = await model(system, **moment)
    page = squeezed(text_of_html((await get(system, "/v1/reports/flights", format="html", **moment)).text))
    paper = squeezed(text_of_pdf((await get(system, "/v1/reports/flights", format="pdf", **moment)).content))
    texts = [squeezed(html.unescape(one)) for one in statements(document)]
    assert len(texts) > 400
    assert [one for one in texts if one not in page] == []
    assert [one for one in texts if one not in paper] == []


async def test_the_same_moment_gives_the_same_bytes(system: System, told: Whole):
    moment = {"at": day(30).isoformat(), "known_at": day(60).isoformat()}
    for kind in ("json", "html", "pdf"):
        first = await get(system, "/v1/reports/flights", format=kind, **moment)
        again = await get(system, "/v1/reports/flights", format=kind, **moment)
        assert first.content == again.content
        digest = re.fullmatch(r"sha-256=:(.*):", first.headers["repr-digest"])
        assert digest
        assert b64decode(digest[1]) == sha256(first.content).digest()


async def test_a_report_tells_its_moment_so_that_it_can_be_asked_for_again(system: System, told: Whole):
    for path in ("/v1/reports/flights", "/v1/reports"):
        first = await get(system, path)
        moment = {name: first.json()[name] for name in ("at", "known_at")}
        assert (await get(system, path, **moment)).content == first.content
    events = first.json()["register"]["events"]
    assert all(datetime.fromisoformat(one[name]).tzinfo for one in events for name in ("time", "recorded"))


async def test_every_statement_of_fact_names_events_that_exist(system: System, told: Whole):
    document = await model(system)
    register = {one["ref"]: one for kind in ("events", "sets") for one in document["register"][kind]}
    used: list[str] = []
    for part in document["parts"]:
        for one in part["sections"]:
            for block in one["blocks"]:
                used += [ref for item in block.get("rows", [block]) for ref in item["refs"]]
    assert len(used) > 100
    assert set(used) == set(register)
    for ref, one in register.items():
        if ref.startswith("S"):
            assert one["count"] == len(one["event_ids"]) > SET
            assert one["sha256"] == sha256("\n".join(sorted(one["event_ids"])).encode()).hexdigest()
    for one in document["register"]["events"][:20]:
        event = (await get(system, f"/v1/events/{one['event_id']}")).json()
        assert (event["type"], event["subject"], event["actor"]) == (one["type"], one["subject"], one["actor"])
        assert one["proof"] == f"http://test/v1/proofs/inclusion?event_id={one['event_id']}"


async def test_a_report_of_the_past_knows_nothing_of_the_future(system: System, told: Whole):
    early = await model(system, at=day(10).isoformat(), known_at=day(10).isoformat())
    assert "in use: version 1 answers" in said(early, "inventory")
    assert "cheaper by 3 USD" not in said(early, "changes")
    late = await model(system, at=day(50).isoformat(), known_at=day(50).isoformat())
    assert "in use: version 2 answers" in said(late, "inventory")
    assert "cheaper by 3 USD" in said(late, "changes")
    before = await model(system, at=day(2).isoformat(), known_at=day(50).isoformat())
    assert "never deployed" in said(before, "inventory")


async def test_an_answer_about_the_past_stays_as_it_was_given(system: System, told: Whole):
    """Events that come later, even about earlier times, change nothing that was known before them."""
    from shared.events import registry
    from tests.unit.audit.facts import event_id

    moment = {"at": day(42).isoformat(), "known_at": day(46).isoformat()}
    paths = [("/v1/reports/flights", {"format": kind}) for kind in ("json", "html", "pdf")]
    paths += [("/v1/reports", {"format": "json"}), ("/v1/export/events", {})]
    paths += [(f"/v1/export/{kind}/flights", {}) for kind in ("prov", "openlineage", "cyclonedx")]
    before = [(await get(system, path, **moment, **more)).content for path, more in paths]
    rejected = registry.ApprovalRejected(model="flights", version=2, approval=event_id(777), role="risk_manager")
    await told.story.say("model/flights", rejected, 10, recorded=47, actor="rita", name=event_id(777))
    await told.story.say("model/other", registry.ModelRegistered(model="other", owner="dan"), 2, recorded=48)
    await system.settle()
    assert [(await get(system, path, **moment, **more)).content for path, more in paths] == before
    later = {"at": day(42).isoformat(), "known_at": day(49).isoformat()}
    assert [(await get(system, path, **later, **more)).content for path, more in paths] != before


async def test_what_came_late_is_not_known_before_it_came(system: System, told: Whole):
    """The failed scan happened on day 20 and was recorded on day 45."""
    at = day(42).isoformat()
    unknowing = await model(system, at=at, known_at=day(44).isoformat())
    knowing = await model(system, at=at, known_at=day(46).isoformat())
    assert "scan" not in said(unknowing, "validation")
    assert "FAILED" in said(knowing, "validation")
    assert "The newest result of scan for version 2 is a failure." in said(knowing, "findings")


async def test_findings_come_from_the_record(system: System, told: Whole):
    found = said(await model(system), "findings")
    assert "1 flag of high severity still open" in found
    assert "KPI cost missed its target in 9 windows" in found
    assert "Drift beyond the threshold was detected 9 times in 1 feature: hour." in found


async def test_what_monitoring_raised_is_told(system: System, told: Whole):
    document = await model(system, at=day(60).isoformat(), known_at=day(60).isoformat())
    assert "cleared 2013-02-06 00:00" in said(document, "monitoring")
    assert "An alert of kpi on version 1 is open since 2013-02-03 00:00 UTC: kpi thrice" in said(document, "findings")
    assert "drift thrice" not in said(document, "findings")
    assert "late has had no prediction since 2013-02-06 00:00 UTC." in said(document, "findings")
    assert "Checks of the data were breached 1 time: missing." in said(document, "findings")
    assert "Predictions of late are kept for 400 days, set by dev" in said(document, "article-12")
    assert "12 predictions left the archive" in said(document, "article-12")
    assert "Protected attribute of version 2: carrier group, by input carrier." in said(document, "card-factors")
    assert "0.6967 [0.6767, 0.7167]" in said(document, "outcomes")
    before = await model(system, at=day(34).isoformat(), known_at=day(34).isoformat())
    assert "An alert of drift on version 1 is open" in said(before, "findings")


async def test_gaps_stand_out(system: System, told: Whole):
    document = await model(system)
    gaps = [
        block for part in document["parts"] for one in part["sections"] for block in one["blocks"] if block.get("gap")
    ]
    rows = [
        row for part in document["parts"] for one in part["sections"] for block in one["blocks"]
        for row in block.get("rows", []) if row["gap"]
    ]  # fmt: skip
    assert document["gaps"] == len(gaps) + len(rows)
    assert all(block["text"].startswith("Not on record: ") for block in gaps)
    assert any("EU declaration of conformity" in block["text"] for block in gaps)
    page = (await get(system, "/v1/reports/flights", format="html")).text
    assert page.count('class="statement gap"') == len(gaps)


async def test_hostile_text_stays_text(system: System, told: Whole):
    page = await get(system, "/v1/reports/flights", format="html")
    assert "<script" not in page.text
    assert html.escape(HOSTILE[:25], quote=False) in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_pdf_is_for_the_archive_and_for_screen_readers(system: System, told: Whole):
    data = (await get(system, "/v1/reports/flights", format="pdf")).content
    reader = pypdf.PdfReader(io.BytesIO(data))
    about = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    assert "<pdfaid:part>2</pdfaid:part>" in about
    assert "<pdfuaid:part>1</pdfuaid:part>" in about
    assert reader.metadata
    assert reader.metadata.title == "Model report: flights"
    assert [one.title for one in reader.outline if not isinstance(one, list)][:2] == [
        "1  Summary",
        "2  Model risk management",
    ]


async def test_a_script_without_a_font_is_no_error(system: System):
    from shared.events import registry
    from tests.component.audit_given import Story

    await Story(system).say("model/bare", registry.ModelRegistered(model="bare", owner="李娜", technique="模型 🚀"), 1)
    await system.settle()
    paper = text_of_pdf((await get(system, "/v1/reports/bare", format="pdf")).content)
    assert "No font at hand draws some characters of this report" in " ".join(paper.split())
    assert "模型 🚀" in (await get(system, "/v1/reports/bare", format="html")).text


async def test_a_model_without_anything_is_all_gaps(system: System):
    from shared.events import registry
    from tests.component.audit_given import Story

    story = Story(system)
    await story.say("model/bare", registry.ModelRegistered(model="bare", owner="dan"), 1)
    await system.settle()
    document = (await get(system, "/v1/reports/bare")).json()
    assert document["gaps"] > 15
    assert (await get(system, "/v1/reports/bare", format="pdf")).content.startswith(b"%PDF")
    assert "never deployed" in said(document, "inventory")


async def test_the_inventory_of_all_models(system: System, told: Whole):
    moment = {"at": day(60).isoformat(), "known_at": day(60).isoformat()}
    document = (await get(system, "/v1/reports", **moment)).json()
    assert "1 model, 1 in use" in said(document, "models")
    assert "late: version 2" in said(document, "models")
    page = squeezed(text_of_html((await get(system, "/v1/reports", format="html", **moment)).text))
    paper = squeezed(text_of_pdf((await get(system, "/v1/reports", format="pdf", **moment)).content))
    texts = [squeezed(one) for one in statements(document)]
    assert [one for one in texts if one not in page or one not in paper] == []
    empty = (await get(system, "/v1/reports", at=day(-5).isoformat())).json()
    assert "Not on record: a model at this moment." in said(empty, "models")


async def test_refusals(system: System, told: Whole):
    unknown = await get(system, "/v1/reports/flihgts", 404)
    assert "flights" in unknown.json()["fix"]
    assert (await get(system, "/v1/reports/flights", 404, at=day(0.5).isoformat())).json()["status"] == 404
    await get(system, "/v1/reports/flights", 422, format="docx")
    await get(system, "/v1/reports/flights", 422, at="2013-01-01T00:00:00")
    await get(system, "/v1/issued-reports/none", 404)
    refused = await system.client.post("/v1/reports/flights", headers={"X-Roles": "sme"})
    assert refused.status_code == 403
    assert (await system.client.post("/v1/reports/flights", json={"formats": []})).status_code == 422


async def test_an_issued_report_is_kept_by_its_digest_and_is_on_record(system: System, told: Whole):
    body = {"at": day(30).isoformat(), "known_at": day(60).isoformat(), "reason": "yearly audit"}
    answer = (await system.client.post("/v1/reports/flights", json=body)).json()
    second = (await system.client.post("/v1/reports/flights", json=body)).json()
    assert (answer["number"], second["number"]) == (1, 2)
    await system.settle()
    listed = (await get(system, "/v1/issued-reports", model="flights")).json()["items"]
    assert {one["report"] for one in listed} == {answer["report"], second["report"]}
    by_digest = await get(system, "/v1/issued-reports", sha256=answer["files"][1]["sha256"].upper())
    assert {one["report"] for one in by_digest.json()["items"]} == {answer["report"], second["report"]}
    assert (await get(system, "/v1/issued-reports", sha256="00" * 32)).json()["items"] == []
    issued = (await get(system, answer["url"])).json()
    assert (issued["reason"], issued["issued_by"], issued["number"]) == ("yearly audit", "ada", 1)
    for file in issued["files"]:
        kept = await get(system, file["url"])
        live = await get(system, "/v1/reports/flights", format=file["format"], at=body["at"], known_at=body["known_at"])
        assert kept.content == live.content
        assert sha256(kept.content).hexdigest() == file["sha256"]
        assert len(kept.content) == file["length"]
    now = said(await model(system), "issued")
    assert "yearly audit" in now
    assert f"pdf {issued['files'][2]['sha256'][:16]}…" in now
    assert "None was issued before." in said(await model(system, at=day(60).isoformat()), "issued")
    graph = (await get(system, f"/v1/lineage/report/{answer['report']}", direction="up")).json()
    assert {"model"} <= {node["kind"] for node in graph["nodes"]}


async def test_an_altered_file_is_refused(system: System, told: Whole):
    answer = (await system.client.post("/v1/reports/flights", json={"formats": ["json"]})).json()
    await system.settle()
    digest = answer["files"][0]["sha256"]
    path = Path(system.settings.data_dir) / "reports" / digest[:2] / digest
    path.write_bytes(path.read_bytes().replace(b"flights", b"flightz"))
    lost = await get(system, f"{answer['url']}/json", 410)
    assert "altered" in lost.json()["detail"]
    path.unlink()
    assert "gone" in (await get(system, f"{answer['url']}/json", 410)).json()["detail"]
    await get(system, f"{answer['url']}/pdf", 404)


async def test_a_scheduled_period_is_reported_on_once(told: Whole, system: System):
    settings = system.settings.model_copy(update={"report_schedule": "monthly"})
    async with running(DEFINITION, settings=settings) as scheduled:
        await whole(scheduled)
        await scheduled.settle()
        items = (await get(scheduled, "/v1/issued-reports")).json()["items"]
        assert sorted(one["model"] or "" for one in items) == ["", "flights"]
        assert {len(one["files"]) for one in items} == {3}
        assert items[0]["at"] == f"{items[0]['period']}T00:00:00Z"
        assert items[0]["issued_by"] == "audit"
