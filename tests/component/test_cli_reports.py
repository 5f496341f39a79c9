"""The command line of auditors against a server of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import duckdb
import orjson
import pytest
import uvicorn
from typer.testing import CliRunner, Result

from muniment.cli import app
from services.audit.service import DEFINITION
from tests.component.report_given import whole
from tests.support import System, running
from tests.unit.audit.facts import day


class _Server(uvicorn.Server):
    """Tells when it takes connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def served(system: System) -> AsyncIterator[str]:
    """The system over HTTP on a free port of this machine."""
    server = _Server(uvicorn.Config(system.app, port=0, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    await server.ready.wait()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        await whole(system)
        yield system


@pytest.fixture
async def url(system: System) -> AsyncIterator[str]:
    async with served(system) as url:
        yield url


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_a_report_as_a_file_or_on_standard_output(url: str, tmp_path: Path):
    target = tmp_path / "report.pdf"
    result = await run("report", "flights", "--at", day(30).isoformat(), "-o", str(target), "--url", url)
    assert result.exit_code == 0, result.output
    assert target.read_bytes().startswith(b"%PDF")
    shown = await run("report", "flights", "--at", day(30).isoformat(), "--url", url)
    assert orjson.loads(shown.stdout)["subject"] == "model/flights"
    inventory = await run("report", "--url", url)
    assert orjson.loads(inventory.stdout)["subject"] == "inventory"


async def test_an_issued_report_names_its_digest(system: System, url: str, tmp_path: Path):
    target = tmp_path / "report.html"
    asked = ("report", "flights", "--issue", "--reason", "audit", "-o", str(target), "--url", url)
    running_ = asyncio.create_task(run(*asked))
    while not (await asyncio.wait({running_}, timeout=0.05))[0]:
        await system.settle()  # the views follow what the command states
    result = await running_
    assert result.exit_code == 0, result.output
    assert sha256(target.read_bytes()).hexdigest() in result.output.replace("\n", "")


async def test_exports_as_files(url: str, tmp_path: Path):
    target = tmp_path / "bom.json"
    assert (await run("export", "cyclonedx", "flights", "-o", str(target), "--url", url)).exit_code == 0
    assert orjson.loads(target.read_bytes())["specVersion"] == "1.6"
    events = tmp_path / "events.parquet"
    result = await run("export-events", "-o", str(events), "--type", "EvidenceRecorded", "--url", url)
    assert result.exit_code == 0, result.output
    assert duckdb.connect().execute(f"SELECT count(*) FROM '{events}'").fetchone() == (3,)


async def test_what_is_refused_exits_with_a_reason(url: str, tmp_path: Path):
    assert (await run("report", "flights", "--format", "docx", "--url", url)).exit_code == 2
    unknown = await run("report", "flihgts", "--url", url)
    assert unknown.exit_code == 1
    assert "flights" in unknown.output
    assert (await run("export", "rdf", "flights", "--url", url)).exit_code == 2
    target = tmp_path / "events.parquet"
    assert (await run("export-events", "-o", str(target), "--at", "yesterday", "--url", url)).exit_code == 1
    assert not target.exists()
