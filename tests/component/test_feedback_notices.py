"""Who flagged is told as it happens: GET /v1/notices/stream of a real server, and the client that follows it."""

from pathlib import Path

import httpx
from httpx import AsyncClient

from muniment.client import Client
from services.feedback.service import DEFINITION
from services.feedback.worker.notices import channel_of
from tests.component.feedback_given import flag, serving
from tests.component.listening import SECONDS, listening_to
from tests.component.served import served
from tests.support import running

ANA, DAN = {"X-Actor": "ana"}, {"X-Actor": "dan"}
PATH = "/v1/notices/stream"


async def raised(client: AsyncClient, prediction_id: str = "flight-7") -> str:
    answer = await client.post("/v1/flags", json=flag(prediction_id), headers=ANA)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def said(client: AsyncClient, name: str, comment: str) -> str:
    """Dan says something about a flag; the id of the notice."""
    answer = await client.post(f"/v1/flags/{name}/comments", json={"comment": comment}, headers=DAN)
    assert answer.status_code == 201, answer.text
    return answer.json()["event_id"]


async def test_who_flagged_is_told_at_once_and_nobody_else() -> None:
    async with (
        serving() as (_, client),
        listening_to(client, PATH, headers=ANA) as ana,
        listening_to(client, PATH, headers={"X-Actor": "eve"}) as eve,
    ):
        name = await raised(client)
        at = await said(client, name, "which gate?")
        told = await ana.next()
        assert (told["event"], told["id"], told["data"]["flag"]) == ("FlagCommented", at, name)
        assert told["data"]["text"] == "dan: which gate?"
        listed = (await client.get("/v1/notices", headers=ANA)).json()["items"]
        assert listed == [told["data"]]
        assert eve.events == []


async def test_who_comes_back_is_told_what_came_since_or_that_it_was_too_much() -> None:
    async with serving(stream_replay=2) as (_, client):
        name = await raised(client)
        async with listening_to(client, PATH, headers=ANA) as ana:
            first = await said(client, name, "one")
            assert (await ana.next())["id"] == first
        second = await said(client, name, "two")
        await client.get("/v1/notices", headers=ANA, params={"after": second})
        async with listening_to(client, PATH, headers=ANA | {"Last-Event-ID": first}) as ana:
            third = await said(client, name, "three")
            assert [(await ana.next())["id"] for _ in range(2)] == [second, third]
        await said(client, name, "four")
        last = await said(client, name, "five")
        await client.get("/v1/notices", headers=ANA, params={"after": last})
        async with listening_to(client, PATH, headers=ANA | {"Last-Event-ID": first}) as ana:
            assert [(await ana.next())["event"] for _ in range(3)] == ["Missed", "FlagCommented", "FlagCommented"]
        async with listening_to(client, PATH, headers=DAN | {"Last-Event-ID": first}) as dan:
            assert (await dan.next())["event"] == "Missed"  # it was never dan's


async def test_a_notice_is_told_once_it_can_be_looked_up() -> None:
    """Not before its unit of work is committed: who looks back meanwhile would find it nowhere."""
    async with running(DEFINITION) as system, system.live.listen(channel_of("ana")) as messages:
        consumer = system.consumer("feedback.views")
        found: list[tuple[int, str | None]] = []
        told = consumer.applied
        assert told is not None

        async def looking() -> None:
            rows = (await system.client.get("/v1/notices", headers=ANA)).json()["items"]
            found.append((len(rows), await messages.next(0)))
            await told()

        consumer.applied = looking
        name = await raised(system.client)
        await said(system.client, name, "which gate?")
        await system.settle()
        assert found[-1] == (1, None)
        assert await messages.next(SECONDS) is not None


async def test_the_number_of_listeners_has_a_limit() -> None:
    async with serving(max_stream_clients=1) as (_, client), listening_to(client, PATH, headers=ANA):
        refused = await client.get(PATH, headers=DAN)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


def test_the_client_takes_a_stream_up_again_where_it_broke(tmp_path: Path) -> None:
    with served(DEFINITION, tmp_path) as address, Client(address, "ana") as ana, Client(address, "dan") as dan:
        name = ana.post("/v1/flags", flag("flight-7"))["id"]
        first = dan.post(f"/v1/flags/{name}/comments", {"comment": "one"})["event_id"]
        ana.get("/v1/notices", after=first)
        events = ana.events(PATH, first)
        second = dan.post(f"/v1/flags/{name}/comments", {"comment": "two"})["event_id"]
        assert next(events).id == second
        _break(ana.http)
        third = dan.post(f"/v1/flags/{name}/comments", {"comment": "three"})["event_id"]
        assert next(event.id for event in events if event.id not in (first, second)) == third
        events.close()


def _break(http: httpx.Client) -> None:
    """Cut every connection of a client."""
    pool = http._transport._pool  # pyright: ignore
    for connection in list(pool.connections):
        connection.close()
