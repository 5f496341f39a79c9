"""The edge that every service shares, tried on a small one over the adapters in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from httpx import ASGITransport, AsyncClient

from shared.log.store import StoreUnavailable
from shared.runtime.app import create_app
from shared.runtime.identity import Role, add_key
from shared.runtime.running import Running
from tests.component import toy
from tests.component.toy import DEFINITION
from tests.support import System, running

GOAL = {"name": "late", "question": "Will it be late?"}


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION, max_body_bytes=10_000, max_wait_seconds=0.05) as system:
        yield system


def is_problem(response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["type"] == f"urn:muniment:problem:{code}"
    assert document["status"] == status
    assert document["detail"]
    return document


async def test_a_write_is_seen_by_a_read_that_waits_for_it(system: System):
    written = await system.client.post("/v1/goals", json=GOAL)
    assert written.status_code == 201
    answer = written.json()
    assert answer["id"] == answer["event_id"] == answer["events"][0]["id"]
    assert (answer["sequence"], answer["type"], answer["name"]) == (1, "GoalStated", "late")
    is_problem(await system.client.get(f"/v1/goals/late?after={answer['id']}"), 503, "view-behind")
    await system.settle()
    read = await system.client.get(f"/v1/goals/late?after={answer['id']}")
    assert read.json()["question"] == GOAL["question"]
    assert await system.lag() == {"registry.views": 0}


async def test_a_command_that_changes_nothing_says_so(system: System):
    await system.client.post("/v1/goals", json=GOAL)
    again = await system.client.post("/v1/goals", json=GOAL)
    assert again.status_code == 200
    assert again.json() == {"id": None, "event_id": None, "sequence": 1, "type": None, "events": []}


async def test_the_request_id_goes_in_onto_the_event_and_out(system: System):
    response = await system.client.post(
        "/v1/goals", json=GOAL, headers={"X-Request-ID": "mine-1", "X-Actor": "Zoë".encode()}
    )
    assert response.headers["x-request-id"] == "mine-1"
    async with system.stores["registry"].begin() as unit:
        (event,) = await unit.load("goal/late")
    assert (event.correlationid, event.actor) == ("mine-1", "Zoë")
    odd = await system.client.get("/health/live", headers={"X-Request-ID": "a b\tc"})
    assert odd.headers["x-request-id"] != "a b\tc"


async def test_the_same_key_answers_as_before_and_writes_once(system: System):
    headers = {"Idempotency-Key": "k1"}
    first = await system.client.post("/v1/goals", json=GOAL, headers=headers)
    second = await system.client.post("/v1/goals", json=GOAL, headers=headers)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["idempotent-replayed"] == "true"
    async with system.stores["registry"].begin() as unit:
        assert len(await unit.load("goal/late")) == 1
    other = await system.client.post("/v1/goals", json=GOAL | {"question": "other"}, headers=headers)
    is_problem(other, 422, "idempotency-key-reused")
    of_another = await system.client.post("/v1/goals", json=GOAL, headers=headers | {"X-Actor": "bob"})
    assert "idempotent-replayed" not in of_another.headers


async def test_a_refusal_is_not_kept_under_the_key(system: System):
    headers = {"Idempotency-Key": "k2"}
    refused = await system.client.post("/v1/goals", json=GOAL | {"question": "no"}, headers=headers)
    assert is_problem(refused, 409, "goal-refused")["rules"] == [{"rule": "manners"}]
    assert (await system.client.post("/v1/goals", json=GOAL, headers=headers)).status_code == 201


async def test_a_key_in_flight_is_told_apart(system: System):
    async with system.stores["registry"].begin() as unit:
        await unit.idempotency("ada\nk3")
        response = await system.client.post("/v1/goals", json=GOAL, headers={"Idempotency-Key": "k3"})
    is_problem(response, 409, "request-in-flight")
    assert response.headers["retry-after"] == "1"


async def test_writers_at_once_all_come_through(system: System):
    bodies = [GOAL | {"question": f"Question {number}?"} for number in range(10)]
    headers = [{"Idempotency-Key": f"k{number}"} for number in range(10)]
    written = await asyncio.gather(
        *(system.client.post("/v1/goals", json=body, headers=head) for body, head in zip(bodies, headers, strict=True))
    )
    assert sorted(response.json()["sequence"] for response in written) == list(range(1, 11))


async def test_validation_errors_point_into_the_body(system: System):
    response = await system.client.post("/v1/goals", json={"name": 1, "question": "q", "a/b~c": 2})
    errors = is_problem(response, 422, "invalid-request")["errors"]
    assert {(error["in"], error["pointer"]) for error in errors} == {("body", "/name"), ("body", "/a~1b~0c")}
    response = await system.client.get("/v1/goals?limit=none")
    assert is_problem(response, 422, "invalid-request")["errors"][0]["pointer"] == "/limit"


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "question": "q", "weight": NaN}',
        b'{"name": "a", "question": "q", "weight": -Infinity}',
        b'{"name": "a", "question": "\\u0000"}',
        b'{"name": "a", "question": "\\ud800"}',
        b"{",
    ],
)
async def test_what_is_no_json_is_told(system: System, body: bytes):
    response = await system.client.post("/v1/goals", content=body, headers={"Content-Type": "application/json"})
    is_problem(response, 400, "malformed-json")


@pytest.mark.parametrize("body", [b'{"name": "\xff"}', b"[" * 9_000])
async def test_no_bytes_make_a_server_error(system: System, body: bytes):
    response = await system.client.post("/v1/goals", content=body, headers={"Content-Type": "application/json"})
    is_problem(response, 400, "malformed-body")


async def test_words_that_only_look_like_no_json_pass(system: System):
    body = b'{"name": "NaN", "question": "\\\\u0000 Infinity \\u00e9?"}'
    response = await system.client.post("/v1/goals", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 201


async def test_another_content_type_is_refused(system: System):
    response = await system.client.post("/v1/goals", content=b'{"name": "a"}', headers={"Content-Type": "text/plain"})
    is_problem(response, 415, "unsupported-media-type")
    is_problem(await system.client.post("/v1/goals"), 422, "invalid-request")


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.apache.arrow.stream"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit(system: System, kind: str, chunked: bool):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 1_000

    content = chunks() if chunked else b" " * 11_000
    response = await system.client.post("/v1/raw", content=content, headers={"Content-Type": kind})
    is_problem(response, 413, "body-too-large")


async def test_a_chunked_body_under_the_limit_arrives_whole(system: System):
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"name": "late", '
        yield b'"question": "q?"}'

    response = await system.client.post("/v1/goals", content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 201


async def test_paths_and_methods_that_are_not_there(system: System):
    is_problem(await system.client.get("/v1/nothing"), 404, "no-such-path")
    is_problem(await system.client.put("/v1/goals", json=GOAL), 405, "method-not-allowed")
    is_problem(await system.client.get("/v1/goals/a%00b"), 400, "bad-character")


async def test_an_unknown_name_tells_what_is_near(system: System):
    await system.client.post("/v1/goals", json=GOAL)
    await system.settle()
    assert is_problem(await system.client.get("/v1/goals/lte"), 404, "unknown-goal")["nearby"] == ["late"]


async def test_an_unexpected_error_shows_nothing_of_the_inside(system: System):
    response = await system.client.post("/v1/broken")
    assert is_problem(response, 500, "internal-error")["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text


async def test_an_unreachable_store_is_503(system: System):
    store = system.stores["registry"]

    def unreachable(together: bool = False):
        raise StoreUnavailable("down")

    store.begin = unreachable  # the adapter in memory can't lose its connection by itself
    response = await system.client.post("/v1/goals", json=GOAL)
    is_problem(response, 503, "store-unavailable")
    assert response.headers["retry-after"] == "1"


async def test_too_little_right_names_who_may(system: System):
    response = await system.client.post("/v1/goals", json=GOAL, headers={"X-Roles": "auditor"})
    assert is_problem(response, 403, "not-allowed")["roles"] == ["admin", "risk_manager", "sme"]
    unknown = await system.client.post("/v1/goals", json=GOAL, headers={"X-Roles": "king"})
    is_problem(unknown, 422, "unknown-role")
    long = await system.client.post("/v1/goals", json=GOAL, headers={"X-Actor": "a" * 201})
    is_problem(long, 422, "bad-actor")


async def test_with_keys_only_keys_count(tmp_path):
    path = tmp_path / "keys"
    key = add_key(path, "grace", [Role.SME])
    async with running(DEFINITION, api_keys=path) as system:
        none = await system.client.post("/v1/goals", json=GOAL)
        is_problem(none, 401, "no-key")
        assert none.headers["www-authenticate"].startswith("Bearer")
        is_problem(await system.client.post("/v1/goals", json=GOAL, headers={"X-Api-Key": key + "x"}), 401, "wrong-key")
        good = await system.client.post("/v1/goals", json=GOAL, headers={"Authorization": f"Bearer {key}"})
        assert good.status_code == 201
        async with system.stores["registry"].begin() as unit:
            assert (await unit.load("goal/late"))[0].actor == "grace"


async def test_times_that_cannot_be(system: System):
    is_problem(await system.client.post("/v1/goals", json=GOAL | {"at": "2999-01-01T00:00:00Z"}), 422, "time-in-future")
    is_problem(
        await system.client.post("/v1/goals", json=GOAL | {"at": "2020-01-01T00:00:00"}), 422, "time-without-zone"
    )
    for early in ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"):
        is_problem(await system.client.post("/v1/goals", json=GOAL | {"at": early}), 422, "time-out-of-range")
    assert (await system.client.post("/v1/goals", json=GOAL | {"at": "2020-01-01T01:00:00+01:00"})).status_code == 201
    await system.settle()
    assert (await system.client.get("/v1/goals/late")).json()["at"] == "2020-01-01T00:00:00Z"


async def test_a_time_of_long_ago_reaches_the_views(system: System):
    assert (await system.client.post("/v1/goals", json=GOAL | {"at": "0510-09-22T06:23:37Z"})).status_code == 201
    await system.settle()
    assert (await system.client.get("/v1/goals/late")).json()["at"] == "0510-09-22T06:23:37Z"


async def test_after_takes_an_event_id(system: System):
    is_problem(await system.client.get("/v1/goals?after=yesterday"), 422, "bad-after")


async def test_pages_follow_one_another(system: System):
    for number in range(5):
        await system.client.post(
            "/v1/goals", json={"name": f"g{number}", "question": "q?", "at": "2020-01-01T00:00:00Z"}
        )
    await system.settle()
    names, cursor = [], ""
    while cursor is not None:
        listed = (await system.client.get("/v1/goals", params={"limit": 2, "cursor": cursor})).json()
        assert len(listed["items"]) <= 2
        names += [item["goal"] for item in listed["items"]]
        cursor = listed["next"]
    assert names == [f"g{number}" for number in range(5)]
    is_problem(await system.client.get("/v1/goals?cursor=abc"), 422, "bad-cursor")


async def test_a_poisoned_event_is_listed_and_replayed(system: System):
    await system.client.post("/v1/goals", json=GOAL | {"question": "poison"})
    await system.settle()
    (letter,) = (await system.client.get("/v1/dead-letters?service=registry")).json()["items"]
    assert letter["reason"] == "ValueError: poison"
    assert (letter["type"], letter["key"]) == ("GoalStated", "goal/late")
    replay = await system.client.post("/v1/dead-letters:replay", json={"consumer": "registry.views"})
    assert {name: replay.json()[name] for name in ("applied", "failed", "waiting")} == {
        "applied": 0,
        "failed": 1,
        "waiting": 1,
    }
    is_problem(await system.client.get("/v1/dead-letters?consumer=registry.viws"), 404, "unknown-consumer")
    little = await system.client.post("/v1/dead-letters:replay", json={}, headers={"X-Roles": "sme"})
    is_problem(little, 403, "not-allowed")


async def test_what_another_process_replayed_blocks_nobody_here(system: System, monkeypatch: pytest.MonkeyPatch):
    await system.client.post("/v1/goals", json=GOAL | {"question": "poison"})
    await system.client.post("/v1/goals", json=GOAL | {"question": "behind?"})
    await system.settle()
    monkeypatch.setattr(toy, "POISON", set())
    api = create_app("api", [Running(DEFINITION, system.services["registry"], works=False)], system.settings)
    async with AsyncClient(transport=ASGITransport(api), base_url="http://test") as elsewhere:
        replay = await elsewhere.post("/v1/dead-letters:replay", json={})
    assert {name: replay.json()[name] for name in ("applied", "waiting")} == {"applied": 2, "waiting": 0}
    await system.client.post("/v1/goals", json=GOAL | {"question": "after?"})
    await system.settle()
    assert (await system.client.get("/v1/goals/late")).json()["question"] == "after?"


async def test_health_and_figures(system: System):
    assert (await system.client.get("/health/live")).status_code == 200
    assert (await system.client.get("/health/ready")).json() == {"status": "ready", "lags": {"registry.views": 0}}
    await system.client.post("/v1/goals", json=GOAL)
    await system.client.get("/v1/nothing")
    text = (await system.client.get("/metrics")).text
    assert 'muniment_requests_total{method="POST",route="/v1/goals",status="201"} 1.0' in text
    assert 'route="unmatched",status="404"' in text
    assert 'muniment_consumer_lag_records{consumer="registry.views",service="registry"} 0.0' in text


async def test_readiness_fails_with_the_reason():
    async with running(DEFINITION, consumer_max_lag=0, max_dead_letters=0) as system:
        await system.client.post("/v1/goals", json=GOAL | {"question": "poison"})
        part = system.parts["registry"]
        assert part.relay is not None
        await part.relay.once()
        problem = is_problem(await system.client.get("/health/ready"), 503, "not-ready")
        assert problem["problems"] == {"registry.views": "registry.views is 1 records behind, more than 0"}
        async with system.stores["registry"].filling():  # and so also where it has not noticed, since nothing came
            await system.app.state.health.measure()
            problem = is_problem(await system.client.get("/health/ready"), 503, "not-ready")
            told = problem["problems"]["registry.views"]
            assert "registry.views, 1 records behind: a rebuild fills the views" in told
        await system.settle()
        await system.app.state.health.measure()
        problem = is_problem(await system.client.get("/health/ready"), 503, "not-ready")
        assert problem["problems"] == {"registry.dead-letters": "1 dead letters wait, more than 0"}


async def test_the_openapi_document_names_the_shared_parameters(system: System):
    paths = (await system.client.get("/openapi.json")).json()["paths"]
    named = {(one["name"], one["in"]) for one in paths["/v1/goals"]["post"]["parameters"]}
    assert named == {("after", "query"), ("Idempotency-Key", "header")}
    listed = [one["name"] for one in paths["/v1/goals"]["get"]["parameters"]]
    assert listed == ["cursor", "limit", "after"]
    again = (await system.client.get("/openapi.json")).json()["paths"]
    assert again == paths


async def test_the_openapi_document_tells_lists_writes_and_problems(system: System):
    document = (await system.client.get("/openapi.json")).json()
    stating, listing = document["paths"]["/v1/goals"]["post"], document["paths"]["/v1/goals"]["get"]
    assert set(stating["responses"]) == {"200", "201", "400", "401", "403", "404", "409", "413", "415", "422", "503"}
    assert stating["responses"]["409"] == {"$ref": "#/components/responses/Problem409"}
    said = [stating["responses"]["201"], listing["responses"]["200"]]
    named = [one["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2] for one in said]
    assert named == ["Written", "List"]
    assert "HTTPValidationError" not in str(document)
