"""`muniment up`: starts at once, finds everything again, stops cleanly, and loses nothing when it is killed."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from devstack.processes import free_port
from muniment.client import Client
from tests.e2e.embedded import Embedded


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Embedded]:
    with Embedded(tmp_path / "data") as embedded:
        yield embedded


def state_goal(url: str, name: str) -> str:
    body = {"name": name, "question": "Is it so?", "owner": "maria"}
    with Client(url, actor="maria") as client:
        return client.post("/v1/goals", body)["event_id"]


def goals(url: str, after: str) -> set[str]:
    with Client(url) as client:
        client.get("/v1/goals", after=after)
        return {goal["name"] for goal in client.pages("/v1/goals")}


def postgres_of(folder: Path) -> list[psutil.Process]:
    found = [one for one in psutil.process_iter(["name", "cmdline"]) if one.info["name"] == "postgres"]
    return [one for one in found if str(folder / "postgres") in (one.info["cmdline"] or [])]


def test_a_second_start_finds_everything_again_past_a_lock_file_that_names_somebody_elses_process(up: Embedded) -> None:
    up.start()
    event = state_goal(up.url, "kept")
    assert up.stop(signal.SIGINT) == 0
    assert not postgres_of(up.folder)
    own = psutil.Process().pid
    (up.folder / "postgres" / "postmaster.pid").write_text(f"{own}\n{up.folder}/postgres\n")
    up.start()
    assert goals(up.url, event) == {"kept"}
    assert up.stop(signal.SIGTERM) == 0


def test_a_killed_system_has_kept_all_that_it_acknowledged_and_its_postgres_ends_with_it(up: Embedded) -> None:
    up.start()
    acknowledged = [(f"goal-{number}", state_goal(up.url, f"goal-{number}")) for number in range(20)]
    servers = postgres_of(up.folder)
    assert servers
    up.kill()
    assert not psutil.wait_procs(servers, timeout=60)[1]
    up.start()
    assert goals(up.url, acknowledged[-1][1]) == {name for name, _ in acknowledged}


def test_all_services_stand_behind_one_port_and_a_second_instance_on_the_folder_is_refused(up: Embedded) -> None:
    up.start()
    for path in ("/v1/goals", "/v1/deployments", "/v1/flags", "/v1/estate", "/docs", "/openapi.json", "/metrics"):
        assert httpx.get(up.url + path, timeout=60).status_code == 200, path
    assert up.process is not None
    second = Embedded(up.folder)
    assert second.launch().wait(120) == 1
    said = re.sub(r"\s+", " ", second.output())
    assert "already runs on" in said
    assert f"process {up.process.pid}, http://127.0.0.1:{up.port}" in said
    assert httpx.get(f"{up.url}/health/live", timeout=60).is_success


def test_a_port_in_use_is_told_before_anything_is_created(up: Embedded) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up.port = taken.getsockname()[1]
        assert up.launch().wait(120) == 1
    assert f"cannot listen on 127.0.0.1:{up.port}" in re.sub(r"\s+", " ", up.output())
    assert not (up.folder / "postgres").exists()


def test_other_machines_are_not_served_without_keys(up: Embedded) -> None:
    assert up.launch("--host", "0.0.0.0").wait(120) == 1  # noqa: S104
    assert "no API keys are set up" in re.sub(r"\s+", " ", up.output())


def test_an_interrupted_set_up_is_begun_again(up: Embedded) -> None:
    process = up.launch()
    deadline = time.monotonic() + 120
    while not (up.folder / "postgres.new" / "PG_VERSION").exists() and not (up.folder / "postgres").exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.wait()
    up.port = free_port()
    up.start()
