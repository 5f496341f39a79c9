"""Traffic moves under load: every request is answered, every answer is on the log, and an end loses none of them."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.deployer.service import DEFINITION
from services.deployer.serving import onnx, routes
from shared.events.batches import prediction_id
from tests.component.deployer_given import deploy, flights, logged, registered, set_traffic
from tests.support import System, running

CLIENTS = 32


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 2)
        await deploy(system)
        yield system


async def ids_on_the_log(system: System) -> list[str]:
    found = await logged(system)
    return [prediction_id(event.id, row) for event, batch in found for row in range(batch.num_rows)]


async def test_swap_promotion_and_rollback_drop_no_request_and_no_record(system: System) -> None:
    over = asyncio.Event()
    answered: asyncio.Queue[int] = asyncio.Queue()

    async def some_more() -> None:
        for _ in range(2 * CLIENTS):
            await answered.get()

    async def load() -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        while not over.is_set():
            answer = await system.client.post("/v2/models/late/infer", json=flights((1.0, 2.0)))
            assert answer.status_code == 200, answer.text
            told = answer.json()
            version = told["parameters"]["versions"][0]
            assert told["outputs"][0]["data"] == [3.0 * version]
            found.append((told["parameters"]["prediction_ids"][0], version))
            answered.put_nowait(version)
        return found

    loads = [asyncio.create_task(load()) for _ in range(CLIENTS)]
    for _ in range(3):
        await set_traffic(system, 1, (2, 50.0))
        await some_more()
        assert (await system.client.post("/v1/deployments/late/promote")).status_code == 200
        await some_more()
        await system.settle()
        assert (await system.client.post("/v1/deployments/late/rollback")).status_code == 200
        assert (await system.client.post("/v1/deployments/late/rollback")).status_code == 200
        await system.settle()
    over.set()
    answers = [one for part in await asyncio.gather(*loads) for one in part]
    assert {version for _, version in answers} == {1, 2}
    assert sorted(await ids_on_the_log(system)) == sorted(one for one, _ in answers)


async def test_after_a_rollback_the_next_answer_is_the_old_champions(system: System) -> None:
    await set_traffic(system, 2)
    assert (await system.client.post("/v1/deployments/late/rollback")).status_code == 200
    answer = await system.client.post("/v2/models/late/infer", json=flights((1.0, 2.0)))
    assert answer.json()["model_version"] == "1"


async def test_a_swap_waits_for_its_model_and_no_request_waits_for_the_swap(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, loaded = threading.Event(), threading.Event()
    load = onnx._loaded

    def slow(*args: Any) -> onnx.OnnxModel:
        loading.set()
        loaded.wait()
        return load(*args)

    async def asked() -> str:
        return (await system.client.post("/v2/models/late/infer", json=flights((1.0, 2.0)))).json()["model_version"]

    assert await asked() == "1"
    monkeypatch.setattr(onnx, "_loaded", slow)
    monkeypatch.setattr(routes, "MAX_WARM_SECONDS", 600.0)
    swap = asyncio.create_task(set_traffic(system, 1, (2, 100.0)))
    try:
        await asyncio.to_thread(loading.wait)
        assert [await asked() for _ in range(5)] == ["1"] * 5
        assert not swap.done()
    finally:
        loaded.set()
    await swap
    assert await asked() == "2"


async def test_requests_under_way_at_the_end_are_answered_and_logged(system: System) -> None:
    bodies = [flights((float(row), 1.0)) for row in range(20)]
    asked = [asyncio.create_task(system.client.post("/v2/models/late/infer", json=body)) for body in bodies]
    await asyncio.sleep(0)
    answers = await asyncio.gather(*asked)
    for close in system.services["deployer"].on_close:
        await close()
    told = [one.json()["parameters"]["prediction_ids"][0] for one in answers]
    assert sorted(await ids_on_the_log(system)) == sorted(told)


async def test_routes_that_are_refreshed_by_many_requests_at_once_fail_none(tmp_path: Path) -> None:
    async with running(DEFINITION, routes_seconds=0.0) as system:
        await registered(system, tmp_path, 1)
        await deploy(system)
        await system.settle()
        asked = (system.client.post("/v2/models/late/infer", json=flights((1.0, 2.0))) for _ in range(200))
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
