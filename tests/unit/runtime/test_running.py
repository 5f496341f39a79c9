"""A process that serves: it starts all parts, ends in order, and does not live on with a part dead."""

import asyncio
from pathlib import Path

import httpx
import pytest

from shared.log.memory import MemoryLog, MemoryStore
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.consumer import Consumer
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running
from shared.runtime.service import Service
from shared.runtime.serving import CannotServe, serve
from shared.runtime.settings import Settings
from tests.component.toy import DEFINITION

SECONDS = 60.0
SETTINGS = Settings(port=0, consumer_poll_seconds=0.05, api_keys=None)


def part_of(**options) -> Running:
    store = MemoryStore("registry", DEFINITION.tables)
    service = Service("registry", SETTINGS, store, MemoryLog(), MemoryLive(), CommandLoop("registry", store))
    return Running(DEFINITION, service, **options)


class Served:
    """`serve` in a task, with its port."""

    def __init__(self, part: Running, settings: Settings = SETTINGS) -> None:
        self.stop, self.port = asyncio.Event(), asyncio.get_running_loop().create_future()
        app = create_app("served", [part], settings)
        self.task = asyncio.create_task(
            serve(app, [part], settings, stop=self.stop, started=lambda port: self.port.set_result(port))
        )

    async def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{await self.port}", timeout=SECONDS)


async def test_a_write_goes_all_the_way_and_the_end_is_clean():
    part = part_of()
    closed: list[bool] = []

    async def flush() -> None:
        closed.append(part.service.closing.is_set())

    part.service.on_close.append(flush)
    served = Served(part)
    async with await served.client() as client:
        written = await client.post("/v1/goals", json={"name": "late", "question": "q?"})
        read = await client.get("/v1/goals/late", params={"after": written.json()["id"]})
        assert read.json()["question"] == "q?"
        await client.post("/v1/goals", json={"name": "last", "question": "q?"})
        served.stop.set()
        assert await asyncio.wait_for(served.task, SECONDS) == 0
    assert closed == [True]
    assert await part.service.store.relay_lag(["muniment.registry"]) == 0
    with pytest.raises(httpx.ConnectError):
        await httpx.AsyncClient().get(f"http://127.0.0.1:{await served.port}/health/live")


async def test_a_request_under_way_is_finished():
    part = part_of()
    served = Served(part)
    async with await served.client() as client:
        async with part.service.store.begin() as unit:
            await unit.append("goal/late", None, [])  # holds the append lock, so that the request waits
            request = asyncio.create_task(client.post("/v1/goals", json={"name": "late", "question": "q?"}))
            while not part.service.store.committed.append_lock._waiters:  # noqa: ASYNC110
                await asyncio.sleep(0)
            served.stop.set()
            await part.service.closing.wait()
        assert (await request).status_code == 201
        assert await asyncio.wait_for(served.task, SECONDS) == 0


async def test_a_part_that_ends_ends_the_process():
    async def transport(consumer: Consumer) -> None:
        raise RuntimeError(f"{consumer.name} broke")

    assert await asyncio.wait_for(Served(part_of(transport=transport)).task, SECONDS) == 1


async def test_an_api_alone_folds_nothing():
    part = part_of(works=False)
    served = Served(part)
    async with await served.client() as client:
        await client.post("/v1/goals", json={"name": "late", "question": "q?"})
        assert (await client.get("/health/ready")).status_code == 200
        served.stop.set()
        assert await served.task == 0
    assert await part.service.store.relay_lag(["muniment.registry"]) == 1


async def test_other_machines_are_not_served_without_keys(tmp_path: Path):
    settings = SETTINGS.model_copy(update={"host": "0.0.0.0"})  # noqa: S104
    part = part_of()
    with pytest.raises(CannotServe, match="no API keys"):
        await serve(create_app("served", [part], settings), [part], settings)


async def test_a_port_in_use_is_told():
    served = Served(part_of())
    settings = SETTINGS.model_copy(update={"port": await served.port})
    part = part_of()
    with pytest.raises(CannotServe, match="in use"):
        await serve(create_app("served", [part], settings), [part], settings)
    served.stop.set()
    assert await served.task == 0
