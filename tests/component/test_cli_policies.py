"""`muniment policy` and `muniment gate` against a server of their own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from muniment.cli import app
from services.registry.service import DEFINITION
from tests.component.test_cli_reports import served
from tests.component.test_registry_policies import opened
from tests.support import running
from tests.unit.registry.test_policy_dmn import DMN

POLICY = {
    "stage": "production",
    "comment": "standard [/4.1]",
    "table": {
        "inputs": [{"name": "tier", "expression": "risk_tier"}],
        "rows": [
            {"when": {"tier": '"medium"'}, "evidence": ["security"], "evidence_days": 90, "annotation": "scan it"}
        ],
    },
}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with running(DEFINITION) as system:
        await opened(system)
        async with served(system) as url:
            yield url


async def run(url: str, *arguments: str) -> Result:
    terminal = {"COLUMNS": "300"}
    return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--url", url], env=terminal)


async def test_a_policy_is_tried_changed_and_shown_as_a_table(url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(orjson.dumps(POLICY))
    tried = await run(url, "policy", "what-if", str(file))
    assert (tried.exit_code, "kept out" in tried.stdout) == (0, True), tried.output
    assert (await run(url, "gate", "late", "1")).exit_code == 0
    changed = await run(url, "policy", "change", str(file), "--actor", "rita")
    assert "the policy for production adopted" in changed.stdout
    shown = (await run(url, "policy", "show", "production")).stdout
    assert all(word in shown for word in ('"medium"', "security", "90", "scan it", "version 1", "goal_", "[/4.1]"))
    gate = await run(url, "gate", "late", "1")
    assert (gate.exit_code, "evidence-security" in gate.stdout) == (1, True)
    before = await run(url, "policy", "show", "production", "--version", "0", "--json")
    assert orjson.loads(before.stdout)["evidence"] == ["quality"]


async def test_dmn_is_proposed_and_what_is_no_policy_is_refused(url: str, tmp_path: Path) -> None:
    file = tmp_path / "gates.dmn"
    file.write_text(DMN.format(hit="COLLECT"))
    proposed = await run(url, "policy", "change", str(file), "--propose")
    assert "proposed, proposal" in proposed.stdout, proposed.output
    file.write_text("[]")
    assert (await run(url, "policy", "change", str(file))).exit_code == 2
    file.write_text('{"stage": "nowhere"}')
    assert (await run(url, "policy", "change", str(file))).exit_code == 1
    assert (await run(url, "policy", "show", "nowhere")).exit_code == 1
