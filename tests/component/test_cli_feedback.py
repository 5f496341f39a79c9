"""`muniment flags`, `review`, `rule`, `corrections` and `notices` against a server of their own."""

import asyncio
import csv
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from muniment.cli import app
from tests.component.feedback_given import predictions, serving
from tests.component.listening import SECONDS
from tests.support import System

ROWS = 20


@pytest.fixture
async def server() -> AsyncIterator[tuple[System, str]]:
    async with serving(bulk_seconds=0.02) as (system, client):
        yield system, str(client.base_url)


async def run(url: str, *arguments: str, actor: str = "ana") -> Result:
    command = [*arguments, "--url", url, "--actor", actor]
    return await asyncio.to_thread(CliRunner().invoke, app, command)


async def told(url: str, *arguments: str, actor: str = "ana") -> Any:
    ended = await run(url, *arguments, "--json", actor=actor)
    assert ended.exit_code == 0, ended.output
    return orjson.loads(ended.stdout)


async def logged(system: System, url: str) -> str:
    batch = await predictions(system, ROWS, output__probability=[row / ROWS for row in range(ROWS)])
    async with asyncio.timeout(SECONDS):
        while (await told(url, "rates", "d"))["predictions"] != ROWS:
            pass
    return batch


async def test_a_bulk_by_query_by_list_and_by_file(server: tuple[System, str], tmp_path: Path) -> None:
    system, url = server
    batch = await logged(system, url)
    query = ("--deployment", "d", "--where", "output.probability >= 0.75", "--where", "prediction_id missing true")
    done = await told(url, "flags", "bulk", "--category", "missed", *query)
    assert (done["state"], done["flagged"]) == ("completed", 5)
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{batch}-0\n\n{batch}-1\n{batch}-19\n")
    line = (await run(url, "flags", "bulk", "--category", "missed", "--predictions", str(ids))).stdout
    assert "3 looked, 2 flagged, 0 pending, 0 refused" in line
    file = tmp_path / "wrong.csv"
    file.write_text(f"prediction_id,category,expected\n{batch}-3,early,1\n{batch}-4,late,0\nflight-7,late,\n")
    sent = await told(url, "flags", "upload", str(file), "--comment", "seen at the gate")
    assert (sent["flagged"], sent["pending"], len(sent["flags"])) == (2, 1, 2)
    assert (await told(url, "flags", "job", sent["id"]))["state"] == "completed"
    listed = (await told(url, "flags", "list", "--deployment", "d", "--category", "early"))["items"]
    assert [one["predictions"] for one in listed] == [1]
    assert (await run(url, "flags", "bulk", "--category", "x")).exit_code == 2
    assert (await run(url, "flags", "upload", str(ids))).exit_code == 2


async def test_a_flag_from_the_queue_to_its_answer_and_who_is_told(server: tuple[System, str]) -> None:
    _, url = server
    first, second = [
        (await told(url, "flag", name, "--comment", "wrong", "--severity", "high"))["id"] for name in ("f-1", "f-2")
    ]
    await told(url, "flags", "assign", first, "dan", "--state", "investigating", actor="rita")
    await told(url, "flags", "comment", first, "which gate?", actor="dan")
    await told(url, "flags", "merge", second, first, "--comment", "the same storm", actor="dan")
    answer = ("label_corrected", "--comment", "it was late", "--label", "1")
    last = await told(url, "flags", "resolve", first, *answer, actor="dan")
    async with asyncio.timeout(SECONDS):
        while not any(one["event_id"] == last["event_id"] for one in (await told(url, "notices"))["items"]):
            pass
    text = (await run(url, "notices")).stdout
    assert [word in text for word in ("investigating", "which gate?", "the same as", "it was late")] == [True] * 4
    shown = (await run(url, "flags", "show", first)).stdout
    assert "resolved" in shown
    assert "FlagCommented by dan: which gate?" in shown
    assert "Nothing waits." in (await run(url, "flags", "triage")).stdout
    again = await run(url, "flags", "resolve", first, *answer)
    assert (again.exit_code, "is resolved" in again.output) == (1, True)


async def test_a_review_is_drawn_judged_and_read(server: tuple[System, str], tmp_path: Path) -> None:
    system, url = server
    await logged(system, url)
    drawn = await told(url, "review", "draw", "d", "1", "--size", "10", "--seed", "1", "--strata", "2")
    async with asyncio.timeout(SECONDS):
        while (await run(url, "review", "items", drawn["id"])).exit_code:
            pass
    rows = list(csv.DictReader(StringIO((await run(url, "review", "items", drawn["id"])).stdout)))
    assert len(rows) == 10
    for actor, wrong in (("ana", 3), ("dan", 2)):
        file = tmp_path / f"{actor}.csv"
        lines = [f"{row['prediction_id']},{'wrong' if at < wrong else 'right'},seen" for at, row in enumerate(rows)]
        file.write_text("\n".join(["prediction_id,wrong,comment", *lines, f"{rows[0]['prediction_id']},,"]))
        said = await told(url, "review", "judge", drawn["id"], str(file), actor=actor)
    async with asyncio.timeout(SECONDS):
        while len((await told(url, "review", "show", drawn["id"]))["agreement"]["cohen"]) != 1:
            pass
    assert said["type"] == "ReviewJudged"
    text = (await run(url, "review", "show", drawn["id"])).stdout
    assert [word in text for word in ("95% interval", "kappa of ana and dan", "Fleiss' kappa of 2 experts")] == [
        True
    ] * 3
    file.write_text("prediction_id,wrong\nx,maybe\n")
    assert (await run(url, "review", "judge", drawn["id"], str(file))).exit_code == 2
    assert "expert" in (await run(url, "experts")).stdout


async def test_a_rule_is_adopted_shown_and_retired_and_corrections_are_exported(
    server: tuple[System, str], tmp_path: Path
) -> None:
    system, url = server
    file = tmp_path / "rule.json"
    table = [{"when": [{"column": "output.probability", "op": ">=", "value": 0.9}], "category": "sure"}]
    file.write_bytes(orjson.dumps({"deployment": "d", "statement": "Never be too sure.", "table": table}))
    await told(url, "rule", "adopt", "humble", str(file))
    batch = await logged(system, url)
    async with asyncio.timeout(SECONDS):
        while not (await told(url, "rule", "show", "humble"))["days"]:
            pass
    assert "0.1000" in (await run(url, "rule", "show", "humble")).stdout
    flagged = (await told(url, "flag", f"{batch}-3", "--comment", "no", "--expected", "1"))["id"]
    await told(url, "flags", "resolve", flagged, "label_corrected", "--comment", "yes", "--label", "1")
    target = tmp_path / "corrected.parquet"
    async with asyncio.timeout(SECONDS):
        while (await run(url, "corrections", "export", "d", "fixed", "-o", str(target))).exit_code:
            pass
    assert pq.read_table(target).column("label").to_pylist() == [1.0]
    async with asyncio.timeout(SECONDS):
        while not (made := (await told(url, "corrections", "list"))["items"]):
            pass
    again = tmp_path / "again.parquet"
    assert (await run(url, "corrections", "download", made[0]["id"], str(again))).exit_code == 0
    assert again.read_bytes() == target.read_bytes()
    await told(url, "rule", "retire", "humble", "--reason", "the model was replaced")
    async with asyncio.timeout(SECONDS):
        while (await told(url, "rule", "list"))["items"][0]["state"] != "retired":
            pass
