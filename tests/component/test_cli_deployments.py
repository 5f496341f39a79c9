"""What a pipeline does with a deployment, by the command line, against a server of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from services.deployer.service import DEFINITION
from tests.component.deployer_given import registered
from tests.component.test_cli_policies import run
from tests.component.test_cli_reports import served
from tests.support import System, running


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """Versions 1 and 2 with open gates, and 3 with a closed one."""
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 3, closed=3)
        yield system


async def test_a_pipeline_deploys_shares_promotes_checks_and_rolls_back(system: System) -> None:
    async with served(system) as url:
        deployed = await run(url, "deploy", "late", "late-flights", "1")
        assert (deployed.exit_code, "late runs late-flights version 1" in deployed.stdout) == (0, True), deployed.output
        await system.settle()
        shared = await run(url, "traffic", "late", "--challenger", "2=25", "--reason", "build 812")
        assert (shared.exit_code, "champion 1, version 2 25 %" in shared.stdout) == (0, True), shared.output
        await system.settle()
        shown = await run(url, "status", "late", "--ready", "--champion", "1")
        assert (shown.exit_code, "75 %" in shown.stdout, "challenger" in shown.stdout) == (0, True, True), shown.output
        assert (await run(url, "promote", "late", "2")).exit_code == 0
        await system.settle()
        assert (await run(url, "status", "late", "--champion", "1")).exit_code == 1
        told = await run(url, "status", "late", "--champion", "2", "--json")
        assert (told.exit_code, orjson.loads(told.stdout)["traffic"]["champion"]) == (0, 2)
        assert (await run(url, "rollback", "late")).exit_code == 0
        await system.settle()
        assert (await run(url, "status", "late", "--champion", "1")).exit_code == 0


async def test_what_may_not_be_fails_the_step_and_says_why(system: System, tmp_path: Path) -> None:
    async with served(system) as url:
        closed = await run(url, "deploy", "late", "late-flights", "3")
        assert (closed.exit_code, "No evidence." in closed.output) == (1, True)
        assert (await run(url, "deploy", "late", "late-flights", "1")).exit_code == 0
        await system.settle()
        assert (await run(url, "traffic", "late", "--challenger", "2=101")).exit_code == 1
        assert (await run(url, "traffic", "late", "--challenger", "half")).exit_code == 2
        assert (await run(url, "status", "nobody")).exit_code == 1
        (tmp_path / "late-flights-2.onnx").write_bytes(b"something else")
        assert (await run(url, "traffic", "late", "--challenger", "2=10")).exit_code == 1


async def test_a_version_that_cannot_answer_is_not_ready(system: System, tmp_path: Path) -> None:
    async with served(system) as url:
        assert (await run(url, "deploy", "late", "late-flights", "1")).exit_code == 0
        await system.settle()
        (tmp_path / "late-flights-1.onnx").write_bytes(b"something else")
        checked = await run(url, "status", "late", "--ready")
        assert (checked.exit_code, "SHA-256" in checked.output) == (1, True), checked.output
