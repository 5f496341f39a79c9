"""What the commands about lineage ask for and print, against a server that answers from a list."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from muniment.cli import options
from muniment.cli.main import app
from muniment.client import Client

STATED = {"actor": "mia", "time": "2013-10-01T00:00:00Z", "backdated": True}
ANSWERS = {
    "/v1/lineage/goal/warn": {"nodes": [], "edges": [{"src": "kpi/k", "relation": "used", "dst": "goal/warn"}]},
    "/v1/estate/diff": {
        "added": [{"deployment": "new", "model": "m", "version": 1, "stated": STATED}],
        "removed": [],
        "changed": [{"deployment": "late", "changes": [{"what": "champion", "from": 1, "to": 2, "stated": STATED}]}],
    },
    "/v1/touched/dataset/d@1": {"sources": [], "items": [], "next": None},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """The requests that the commands make."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if "format" in request.url.params:
            return httpx.Response(200, content=b"drawn")
        return httpx.Response(200, json=ANSWERS[request.url.path])

    def client(urls: str, actor: str | None, key: str | None, patience: float) -> Client:
        return Client(urls, actor, key, patience=patience, http=httpx.Client(transport=httpx.MockTransport(answer)))

    monkeypatch.setattr(options, "Client", client)
    return requests


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result.output


def test_lineage_as_a_tree_as_json_and_as_a_picture(asked: list[httpx.Request], tmp_path: Path) -> None:
    assert "kpi/k" in run("lineage", "goal", "warn", "--depth", "3")
    assert asked[-1].url.params["depth"] == "3"
    assert json.loads(run("lineage", "goal", "warn", "--json")) == ANSWERS["/v1/lineage/goal/warn"]
    run("lineage", "goal", "warn", "-o", str(tmp_path / "g.svg"))
    assert asked[-1].url.params["format"] == "svg"
    assert (tmp_path / "g.svg").read_bytes() == b"drawn"
    run("lineage", "goal", "warn", "--format", "mermaid")
    assert asked[-1].url.params["format"] == "mermaid"
    run("lineage", "goal", "warn", "--format", "gif", code=2)


def test_the_dossier_goes_into_a_file_whose_name_tells_the_format(asked: list[httpx.Request], tmp_path: Path) -> None:
    run("dossier", "p-1", "-o", str(tmp_path / "p.html"), "--known-at", "2013-04-01T00:00:00Z")
    assert (asked[-1].url.path, asked[-1].url.params["format"]) == ("/v1/dossier/p-1", "html")
    assert asked[-1].url.params["known_at"] == "2013-04-01T00:00:00Z"
    run("dossier", "p-1", "-o", str(tmp_path / "p.pdf"), code=2)


def test_an_id_of_any_text_is_one_part_of_the_path(asked: list[httpx.Request]) -> None:
    run("dossier", "case/é 1?x=#%25")
    assert asked[-1].url.raw_path.startswith(b"/v1/dossier/case%2F%C3%A9%201%3Fx%3D%23%2525?")
    run("lineage", "prediction", "a b?#1", "--format", "mermaid")
    assert (asked[-1].url.path, asked[-1].url.params.get("format")) == ("/v1/lineage/prediction/a b?#1", "mermaid")


def test_differences_say_who_moved_what(asked: list[httpx.Request]) -> None:
    text = run("estate-diff", "--from", "2013-09-01T00:00:00Z")
    assert "new: m version 1" in text
    assert "champion from 1 to 2" in text
    assert "by mia" in text
    assert "backdated" in text


def test_what_touched_nothing_is_an_empty_table(asked: list[httpx.Request]) -> None:
    assert "predictions" in run("touched", "dataset", "d@1")
