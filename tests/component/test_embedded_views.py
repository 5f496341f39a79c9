"""`muniment verify-views` and `rebuild-views`: beside a system that runs, and while it is down."""

import asyncio
import json
import re
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

SECONDS = 90.0


def verify(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "muniment", "verify-views", "--data-dir", str(folder), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"told": done.stderr}


def rebuild(folder: Path, *more: str) -> str:
    """What the command tells, once it has ended well."""
    command = [sys.executable, "-m", "muniment", "rebuild-views", "--data-dir", str(folder), "--processes", "2", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stderr


async def alter(folder: Path, sql: str) -> None:
    connection = await asyncpg.connect(Postgres(running_folder(folder)).dsn)
    await connection.execute(sql)
    await connection.close()


def test_views_are_rebuilt_and_verified_beside_the_system_and_verified_while_it_is_down(tmp_path: Path):
    altered = "UPDATE registry.view_goals SET question = 'Is it late?' WHERE name = 'warn'"
    with Embedded(tmp_path / "data") as up:
        up.start()
        goal = {"name": "warn", "question": "Will it arrive late?"}
        httpx.post(f"{up.url}/v1/goals", json=goal, timeout=SECONDS).raise_for_status()
        httpx.get(f"{up.url}/v1/goals", timeout=SECONDS).raise_for_status()
        asyncio.run(alter(up.folder, altered))
        told = rebuild(up.folder, "--service", "registry")
        assert re.search(r"registry: \d+ of \d+ records \(100\.0 %\)", told), told
        said = httpx.post(f"{up.url}/v1/goals", json=goal | {"name": "hold"}, timeout=SECONDS).raise_for_status()
        after = {"after": said.json()["event_id"]}
        told = httpx.get(f"{up.url}/v1/goals", params=after, timeout=SECONDS).raise_for_status()
        found = told.json()["items"]
        assert {one["name"] for one in found} == {"hold", "warn"}, "the live consumer goes on"
        code, told = verify(up.folder)
        assert code == 0, told
        assert (told["verdict"], len(told["services"])) == ("equal", 5)
        asyncio.run(alter(up.folder, altered))
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
