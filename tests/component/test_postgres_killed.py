"""What a store answered is on disk: all of PostgreSQL's processes killed with SIGKILL right after the answer."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from muniment.embedded.folder import open_folder
from muniment.embedded.postgres import Postgres
from shared.log.postgres_store import PostgresStore
from shared.log.store import IdempotencyRecord
from shared.log.tables import Put
from tests.contract.facts import GOALS, ROW, TOPIC, goal, load

ANSWER = IdempotencyRecord("digest", 201, b"{}")


class Server:
    """A PostgreSQL of this test alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = open_folder(folder)
        self.postgres = Postgres(self.folder)
        self.dsn = self.postgres.dsn

    def kill(self) -> None:
        """All processes at once, so that none has the time to write what it still holds."""
        lock = self.folder.postgres / "postmaster.pid"
        postmaster = psutil.Process(int(lock.read_text().splitlines()[0]))
        every = [postmaster, *postmaster.children(recursive=True)]
        for process in every:
            os.kill(process.pid, signal.SIGSTOP)
        for process in every:
            os.kill(process.pid, signal.SIGKILL)
        psutil.wait_procs(every, timeout=10)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    started = Server(tmp_path / "data")
    await started.postgres.start()
    yield started
    started.postgres.stop()
    started.folder.release()


async def opened(server: Server) -> PostgresStore:
    store = PostgresStore(server.dsn, "registry", [GOALS])
    await store.setup()
    return store


async def again(server: Server) -> PostgresStore:
    server.kill()
    server.postgres = Postgres(server.folder)
    await server.postgres.start()
    return await opened(server)


async def test_commands_written_together_survive(server: Server):
    store = await opened(server)

    async def command(number: int) -> None:
        async with store.begin(together=True) as unit:
            await unit.idempotency(f"{number}")
            await unit.append(f"goal/{number}", 0, [goal(f"goal/{number}")])
            await unit.keep_idempotency(f"{number}", ANSWER)

    await asyncio.gather(*(command(number) for number in range(20)))
    later = await again(server)
    assert len(await later.outbox(TOPIC, 0, 100)) == 20
    async with later.begin() as unit:
        assert [await unit.idempotency(f"{number}") for number in range(20)] == [ANSWER] * 20
    await later.close()


async def test_a_unit_of_work_survives(server: Server):
    store = await opened(server)
    async with store.begin() as unit:
        await unit.append("goal/a", None, [goal("goal/a")])
        await unit.apply([Put("goals", ROW)])
    later = await again(server)
    assert len(await load(later, "goal/a")) == 1
    assert await later.get("goals", ROW["name"]) is not None
    await later.close()
