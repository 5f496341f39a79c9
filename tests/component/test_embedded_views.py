"""`muniment verify-views`: beside a system that runs, and while it is down."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from muniment.embedded.folder import running_folder
from muniment.embedded.postgres import Postgres
from tests.e2e.embedded import Embedded

pytestmark = pytest.mark.slow


def verify(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "muniment", "verify-views", "--data-dir", str(folder), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"told": done.stderr}


async def alter(folder: Path, sql: str) -> None:
    connection = await asyncpg.connect(Postgres(running_folder(folder)).dsn)
    await connection.execute(sql)
    await connection.close()


def test_views_are_verified_beside_the_system_and_while_it_is_down(tmp_path: Path):
    with Embedded(tmp_path / "data") as up:
        up.start()
        goal = {"name": "warn", "question": "Will it arrive late?"}
        httpx.post(f"{up.url}/v1/goals", json=goal).raise_for_status()
        httpx.get(f"{up.url}/v1/goals").raise_for_status()
        code, told = verify(up.folder)
        assert code == 0, told
        assert (told["verdict"], len(told["services"])) == ("equal", 5)
        asyncio.run(alter(up.folder, "UPDATE registry.view_goals SET question = 'Is it late?'"))
    code, told = verify(tmp_path / "data", "--service", "registry")
    assert code == 1, told
    assert told["verdict"] == "different"
    assert told["services"][0]["first_difference"] == {
        "table": "goals",
        "key": {"name": "warn"},
        "what": "changed",
        "column": "question",
        "live": "Is it late?",
        "replayed": "Will it arrive late?",
    }


def test_what_is_not_there_cannot_be_told(tmp_path: Path):
    code, told = verify(tmp_path / "nothing")
    assert code == 2
    assert "no data of an embedded system" in told["told"].replace("\n", " ")
