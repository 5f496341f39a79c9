"""The pipelines of examples/ci, run as they are written against a server; and a bundle that somebody changed."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from services.deployer.service import DEFINITION as DEPLOYER
from services.registry.service import DEFINITION as REGISTRY
from tests.component.test_cli_reports import served
from tests.support import System, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "ci"
GITHUB = yaml.safe_load((EXAMPLE / ".github/workflows/release.yml").read_text())
GITLAB = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(REGISTRY, DEPLOYER) as system:
        yield system


async def shell(script: str, folder: Path, url: str, system: System | None = None, **changed: str) -> tuple[int, str]:
    """What a runner does with a step's script, in a checkout of the example."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "MUNIMENT_URL": url, "PYTHONPATH": str(EXAMPLE.parents[1])} | changed
    process = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    ended = asyncio.create_task(process.communicate())
    while not (await asyncio.wait({ended}, timeout=0.1))[0]:
        if system is not None:
            await system.settle()  # what relays and workers do meanwhile
    told, _ = ended.result()
    return process.returncode or 0, told.decode()


def checkout(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "repository"))


def steps(job: dict[str, Any]) -> str:
    """The scripts of a job of GitHub, but for the installation of what is installed here."""
    return "\n".join(one["run"] for one in job["steps"] if "run" in one and "pip install" not in one["run"])


async def test_the_github_workflow_ships_to_staging_and_shows_why(tmp_path: Path, system: System) -> None:
    job, folder = GITHUB["jobs"]["gate"], checkout(tmp_path)
    async with served(system) as url:
        summary = tmp_path / "summary.md"
        code, told = await shell(
            steps(job), folder, url, system, STAGE=job["env"]["STAGE"], GITHUB_STEP_SUMMARY=str(summary)
        )
        assert code == 0, told
        assert "late-flights version 1 in staging: allowed" in summary.read_text()
        assert ElementTree.parse(folder / "gate.xml").getroot().get("failures") == "0"
        for _ in range(2):
            await system.settle()
        evidence = (await system.client.get("/v1/models/late-flights/versions/1/evidence")).json()["items"]
        assert {one["name"] for one in evidence} == {"conversion", "auc", "not-worse", "more-wind-more-late", "latency"}
        await _changed_by_one_byte(system, folder)


async def _changed_by_one_byte(system: System, folder: Path) -> None:
    version = (await system.client.get("/v1/models/late-flights/versions/1")).json()
    body = {
        "name": "late",
        "model": "late-flights",
        "version": 1,
        "environment": "staging",
        "runtime": {"kind": "onnx"},
    }
    file = Path(version["artifact"]["uri"].removeprefix("file://"))
    kept = await asyncio.to_thread(file.read_bytes)
    changed = bytearray(kept)
    changed[len(kept) // 2] ^= 1
    await asyncio.to_thread(file.write_bytes, changed)
    refused = await system.client.post("/v1/deployments", json=body)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:muniment:problem:artifact-altered")
    await asyncio.to_thread(file.write_bytes, kept)
    deployed = await system.client.post("/v1/deployments", json=body)
    assert deployed.status_code == 201, deployed.text


async def test_the_gitlab_job_fails_with_a_reason_where_production_is_asked_for(tmp_path: Path, system: System) -> None:
    job, folder = GITLAB["release"], checkout(tmp_path)
    async with served(system) as url:
        code, told = await shell("\n".join(job["script"]), folder, url, system, STAGE="production")
        assert code == 1, told
        assert "approval-risk_manager" in told
        report = ElementTree.parse(folder / job["artifacts"]["reports"]["junit"]).getroot()
        failed = [one.get("name") for one in report if one.find("failure") is not None]
        assert failed == ["goal-stated", "approval-risk_manager"]
        registered = json.loads((folder / "registered.json").read_text())
        assert registered["version"] == 1


async def test_a_server_that_is_away_is_told_apart_from_a_closed_gate(tmp_path: Path) -> None:
    code, told = await shell("muniment gate m 1", tmp_path, "http://127.0.0.1:9")
    assert code == 2, told
