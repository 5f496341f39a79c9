"""Where a version fails, its fallback answers: the champion for a challenger, a constant for all; and remote servers
that die, stay away or come back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from services.deployer.service import DEFINITION
from services.deployer.serving.frames import Frame
from services.deployer.serving.remote import Limits, RemoteModels
from services.deployer.serving.routes import Route
from services.deployer.serving.runtimes import Runtimes
from shared.events.monitor import PredictionLogged
from shared.events.registry import Field
from shared.runtime.problems import Problem
from tests.component.deployer_given import SUM, Registry, deploy, flights, logged, registered, set_traffic
from tests.support import System, running

URL = "/v2/models/late/infer"
FRAME = Frame(1, {"delay": np.array([1.0]), "hour": np.array([3.0])})


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are loaded no sooner than they are asked, so that their files can be altered before."""

    async def nothing(runtimes: Runtimes, route: Route, version: int) -> None:
        pass

    monkeypatch.setattr(Runtimes, "warm", nothing)


@asynccontextmanager
async def serving(tmp_path: Path, **settings: Any) -> AsyncIterator[System]:
    """Two registered versions."""
    async with running(DEFINITION, **settings) as system:
        await registered(system, tmp_path, 2)
        yield system


def tamper(tmp_path: Path) -> None:
    """Change the file of version 2 after it was deployed."""
    (tmp_path / "late-flights-2.onnx").write_bytes(b"something else")


async def fallback(system: System, kind: str, **outputs: Any) -> None:
    answer = await system.client.put("/v1/deployments/late/fallback", json={"kind": kind, "outputs": outputs})
    assert answer.status_code == 200, answer.text


async def ask(system: System, *rows: tuple[float, float]) -> dict[str, Any]:
    answer = await system.client.post(URL, json=flights(*rows))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_champion_answers_for_a_challenger_that_fails(tmp_path: Path) -> None:
    async with serving(tmp_path) as system:
        await deploy(system)
        await set_traffic(system, 1, (2, 50.0))
        tamper(tmp_path)
        answer = await ask(system, *[(float(row), 1.0) for row in range(20)])
        assert answer["parameters"]["versions"] == [1] * 20
        assert answer["outputs"][0]["data"] == [float(row) + 1.0 for row in range(20)]
        assert len(set(answer["parameters"]["prediction_ids"])) == 20
        ((event, batch),) = await logged(system)
        assert (event.data.version, batch.num_rows) == (1, 20)  # type: ignore[attr-defined]
        await system.settle()
        found = (await system.client.get("/v1/deployments/late")).json()
        assert found["fell_back"] == [{"version": 2, "requests": 1}]


async def test_without_a_fallback_and_for_a_version_asked_by_name_the_failure_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as system:
        await deploy(system)
        await set_traffic(system, 1, (2, 100.0))
        tamper(tmp_path)
        direct = await system.client.post("/v2/models/late/versions/2/infer", json=flights((1.0, 2.0)))
        assert (direct.status_code, "SHA-256" in direct.json()["error"]) == (503, True)
        await fallback(system, "none")
        assert (await system.client.post(URL, json=flights((1.0, 2.0)))).status_code == 503
        assert await logged(system) == []


async def test_a_request_at_fault_is_no_ones_failure(tmp_path: Path) -> None:
    async with serving(tmp_path) as system:
        await deploy(system)
        await fallback(system, "constant", p=0.5)
        body = flights((1.0, 2.0))
        del body["inputs"][0]
        assert (await system.client.post(URL, json=body)).status_code == 400


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("rows", [1, 2])
async def test_a_constant_answers_where_the_champion_fails_and_is_logged_as_one(
    tmp_path: Path, rows: int, waits: bool
) -> None:
    async with serving(tmp_path, answers_wait_for_log=waits) as system:
        await deploy(system, version=2)
        tamper(tmp_path)
        await fallback(system, "constant", p=0.5)
        answer = await ask(system, *[(1.0, 2.0), (3.0, 4.0)][:rows])
        assert answer["outputs"] == [{"name": "p", "datatype": "FP64", "shape": [rows], "data": [0.5] * rows}]
        ((event, batch),) = await logged(system)
        told = [f"{event.id}-{row}" for row in range(rows)]
        assert answer["parameters"] == {"prediction_ids": told, "versions": [0] * rows, "fallback": "constant"}
        assert isinstance(event.data, PredictionLogged)
        assert (event.data.version, event.data.fallback, batch.num_rows) == (2, "constant", rows)
        assert batch.column("output.p").to_pylist() == [0.5] * rows
        assert batch.column("feature.delay").to_pylist() == [1.0, 3.0][:rows]


async def test_a_constant_of_other_outputs_is_refused_and_one_that_a_later_champion_does_not_have_still_answers(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as system:
        await deploy(system)
        for outputs in ({"q": 0.5}, {"p": "none"}):
            answer = await system.client.put(
                "/v1/deployments/late/fallback", json={"kind": "constant", "outputs": outputs}
            )
            assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "bad-fallback")
        endless = b'{"kind": "constant", "outputs": {"p": 1e400}}'
        headers = {"Content-Type": "application/json"}
        answer = await system.client.put("/v1/deployments/late/fallback", content=endless, headers=headers)
        assert answer.status_code == 422
        await fallback(system, "constant", p=0.5)
        registry = Registry(system, tmp_path)
        registry._sequence = 5  # as many as `serving` said
        text = Field(name="p", type="string")
        await registry.version(3, signature=SUM.model_copy(update={"outputs": (text,)}))
        await system.settle()
        await set_traffic(system, 3)
        (tmp_path / "late-flights-3.onnx").write_bytes(b"something else")
        assert (await ask(system, (1.0, 2.0)))["outputs"][0]["data"] == [0.5]


@asynccontextmanager
async def remote_server() -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """A server of the protocol on a port of its own that answers p = 7, and what kills it mid-load."""
    writers: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"get "):  # it has no metadata
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                rows = orjson.loads(await reader.readexactly(length))["inputs"][0]["shape"][0]
                tensor = {"name": "p", "datatype": "FP64", "shape": [rows], "data": [7.0] * rows}
                body = orjson.dumps({"model_name": "late", "outputs": [tensor]})
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)

    async def kill() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()

    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", kill
    finally:
        await kill()


async def test_a_remote_server_killed_mid_load_leaves_no_request_without_an_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as system, remote_server() as (url, kill):
        await deploy(system, runtime={"kind": "v2", "url": url})
        await fallback(system, "constant", p=0.5)
        killed, answered = asyncio.Event(), asyncio.Event()

        async def load() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while len(found) < 10 or not killed.is_set() or found[-1]["parameters"]["versions"] == [1]:
                found.append(await ask(system, (1.0, 2.0)))
                answered.set()
            return found

        loads = [asyncio.create_task(load()) for _ in range(8)]
        await answered.wait()
        await kill()
        killed.set()
        answers = [answer for one in await asyncio.gather(*loads) for answer in one]
        by = {tuple(one["parameters"]["versions"]): one["outputs"][0]["data"] for one in answers}
        assert by == {(1,): [7.0], (0,): [0.5]}
        told = [one["parameters"]["prediction_ids"][0] for one in answers]
        assert sum(batch.num_rows for _, batch in await logged(system)) == len(set(told)) == len(told)


def counting(*statuses: int) -> tuple[list[int], httpx.MockTransport]:
    """A server that gives these answers, the last again and again; and what it was asked."""
    asked: list[int] = []
    body = orjson.dumps({"outputs": [{"name": "p", "datatype": "FP64", "shape": [1], "data": [7.0]}]})

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":  # it has no metadata
            return httpx.Response(404)
        status = statuses[min(len(asked), len(statuses) - 1)]
        asked.append(status)
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status, content=body)

    return asked, httpx.MockTransport(handle)


@pytest.mark.parametrize(("first", "tries"), [(503, 2), (0, 2), (502, 2)])
async def test_what_may_pass_is_tried_again(first: int, tries: int) -> None:
    asked, transport = counting(first, 200)
    remote = RemoteModels(Limits(), transport)
    assert (await remote.run("http://remote", "late", 1, FRAME, SUM))["p"].tolist() == [7.0]
    assert len(asked) == tries
    await remote.close()


async def test_a_server_that_keeps_failing_is_left_alone_and_asked_again_later() -> None:
    asked, transport = counting(0, 0, 0, 0, 200)
    remote = RemoteModels(Limits(failures=2, open_seconds=60.0), transport)
    for code in ("runtime-failed", "runtime-failed", "runtime-unavailable", "runtime-unavailable"):
        with pytest.raises(Problem) as caught:
            await remote.run("http://remote", "late", 1, FRAME, SUM)
        assert caught.value.code == code
    assert len(asked) == 4
    assert 0 < int(caught.value.headers["Retry-After"]) <= 60
    assert (await remote.run("http://remote", "late", 2, FRAME, SUM))["p"].tolist() == [7.0]
    (breaker,) = [one for url, one in remote._breakers.items() if url.endswith("/versions/1")]
    breaker.seconds = 0.0
    assert (await remote.run("http://remote", "late", 1, FRAME, SUM))["p"].tolist() == [7.0]
    await remote.close()


async def test_all_tries_together_have_one_time_limit() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    remote = RemoteModels(Limits(seconds=0.01), httpx.MockTransport(never))
    with pytest.raises(Problem) as caught:
        await remote.run("http://remote", "late", 1, FRAME, SUM)
    assert (caught.value.status, caught.value.code) == (504, "runtime-timeout")
    await remote.close()
