"""The monitor through its API, over the adapters in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from shared.events import batches
from shared.events.catalog import TOPIC_JOINED, TOPIC_OUTCOMES, TOPIC_PREDICTIONS
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.events.monitor import DriftDetected, KpiBreached, WindowMeasured
from shared.log.records import TopicPartition
from tests.component.monitor_story import AT, DAY, arrow, body, monitoring, row, table
from tests.support import System

ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with monitoring() as system:
        yield system


async def events(system: System, topic: str) -> list[Event]:
    bounds = await system.log.bounds([topic])
    return [decode(record) for place, bound in bounds.items() for record in await system.log.read(place, 0, bound.end)]


async def window(system: System, **params: Any) -> dict[str, Any]:
    items = (await system.client.get("/v1/deployments/late/windows", params=params)).json()["items"]
    assert len(items) == 1
    return items[0]


async def post(system: System, *rows: dict[str, Any], **keywords: Any) -> list[str]:
    answer = await system.client.post("/v1/predictions", json=body(*rows, **keywords))
    assert answer.status_code == 202, answer.text
    return answer.json()["ids"]


async def tell(system: System, **values: float) -> None:
    outcomes = [{"prediction_id": name, "value": value} for name, value in values.items()]
    answer = await system.client.post("/v1/outcomes", json={"outcomes": outcomes})
    assert answer.status_code == 202, answer.text


async def test_json_predictions_reach_the_log_and_can_be_looked_up(system: System) -> None:
    ids = await post(system, row(), row(id="mine", entity="N1", segment="JFK", output={"probability": 1}))
    await system.settle()
    assert ids[1] == "mine"
    (event,) = await events(system, TOPIC_PREDICTIONS)
    assert (event.actor, event.data.rows) == ("ada", 2)  # type: ignore[attr-defined]
    first = (await system.client.get(f"/v1/predictions/{ids[0]}")).json()
    assert first["features"] == {"hour": 5, "wind": 3.5, "carrier": "AA", "holiday": False}
    assert (first["output"], first["outcome"], first["version"]) == ({"probability": 0.25}, None, 1)
    second = (await system.client.get("/v1/predictions/mine")).json()
    assert (second["entity"], second["segment"], second["output"]) == ("N1", "JFK", {"probability": 1.0})


async def test_a_clients_own_id_may_be_any_text(system: System) -> None:
    name = "case/é 1?x=#%25"
    assert await post(system, row(id=name)) == [name]
    await system.settle()
    path = f"/v1/predictions/{quote(name, safe='')}"
    assert (await system.client.get(path)).json()["id"] == name
    assert (await system.client.get(f"{path}/explanation")).json()["type"] != "urn:muniment:problem:no-such-path"


async def test_one_row_alone_is_coalesced_and_can_be_looked_up(system: System) -> None:
    (name,) = await post(system, row())
    await system.settle()
    assert (await system.client.get(f"/v1/predictions/{name}")).json()["at"] == "2013-04-01T12:00:00Z"


async def test_reads_after_a_batch_wait_until_the_view_has_it(system: System) -> None:
    alone = (await system.client.post("/v1/predictions", json=body(row(id="mine")))).json()
    several = (await system.client.post("/v1/predictions", json=body(row(), row()))).json()
    outcome = {"prediction_id": several["ids"][1], "value": 1}
    told = (await system.client.post("/v1/outcomes", json={"outcomes": [outcome]})).json()
    paths = [f"/v1/predictions/mine?after={alone['batch']}", f"/v1/deployments/late/windows?after={several['ids'][0]}"]
    paths.append(f"/v1/predictions/{several['ids'][1]}?after={told['batch']}")
    waiting = [asyncio.create_task(system.client.get(path)) for path in paths]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    await system.settle()
    mine, windows, known = [answer.json() for answer in await asyncio.gather(*waiting)]
    assert mine["batch"] == alone["batch"]
    assert windows["items"][0]["predictions"] == 3
    assert known["outcome"]["value"] == 1.0


async def test_an_arrow_stream_goes_on_byte_for_byte(system: System) -> None:
    sent = table(50)
    answer = await system.client.post("/v1/predictions", **arrow(sent))
    assert answer.status_code == 202, answer.text
    (event,) = await events(system, TOPIC_PREDICTIONS)
    assert answer.json() == {"accepted": 50, "batch": event.id}
    assert event.table == batches.write(sent)
    await system.settle()
    assert (await window(system))["predictions"] == 50


async def test_kindred_arrow_types_become_the_logs_own(system: System) -> None:
    sent = table(
        3,
        at=AT,
        id=pa.array(["a", None, "c"]),
        feature__hour=pa.array([1, 2, 3], pa.int32()),
        feature__wind=pa.array([1.5, np.nan, 2.5], pa.float32()),
        feature__carrier=pa.array(["AA", "UA", "AA"]).dictionary_encode(),
    ).set_column(0, "at", pa.array([AT, None, AT], pa.timestamp("ms", "UTC")))
    answer = await system.client.post("/v1/predictions", **arrow(sent))
    assert answer.status_code == 202, answer.text
    await system.settle()
    (event,) = await events(system, TOPIC_PREDICTIONS)
    kept = batches.read(event.table or b"")
    assert kept.column("feature.wind").to_pylist() == [1.5, None, 2.5]
    assert kept.column("prediction_id").to_pylist() == ["a", f"{event.id}-1", "c"]
    assert (await system.client.get("/v1/predictions/c")).json()["features"]["hour"] == 3
    assert (await system.client.get(f"/v1/predictions/{event.id}-1")).json()["features"]["hour"] == 2


def changed(**features: Any) -> dict[str, Any]:
    return row(features=row()["features"] | features)


def without(name: str) -> dict[str, Any]:
    return row(features={key: value for key, value in row()["features"].items() if key != name})


@pytest.mark.parametrize(
    ("bad", "pointer", "word"),
    [
        (changed(hour=5.5), "/predictions/1/features/hour", "integer"),
        (changed(hour="5"), "/predictions/1/features/hour", "not a text"),
        (changed(hour=True), "/predictions/1/features/hour", "not a boolean"),
        (changed(hour=2**70), "/predictions/1/features/hour", "64 bits"),
        (changed(hour=None), "/predictions/1/features/hour", "null"),
        (without("hour"), "/predictions/1/features/hour", "missing"),
        (changed(wnd=1), "/predictions/1/features/wnd", "did you mean wind"),
        (changed(wind={"a": 1}), "/predictions/1/features/wind", "an object"),
        (changed(wind=10**400), "/predictions/1/features/wind", "finite"),
        (changed(carrier=7), "/predictions/1/features/carrier", "text"),
        (changed(holiday=1), "/predictions/1/features/holiday", "boolean"),
        (row(output={}), "/predictions/1/output/probability", "missing"),
        (row(output={"probability": 0.5, "odds": 1.0}), "/predictions/1/output/odds", "signature"),
        (row(id=5), "/predictions/1/id", "Expected"),
        (row(id="01890a5d-ac96-774b-bcce-b302099a8057-3"), "/predictions/1/id", "server"),
        (row(at="yesterday"), "/predictions/1/at", "Invalid"),
        (row(at="2013-04-01T12:00:00"), "/predictions/1/at", "timezone"),
        (row(at="2999-01-01T00:00:00Z"), "/predictions/1/at", "future"),
        (row(colour="red"), "/predictions/1", "unknown field"),
    ],
)
async def test_a_wrong_row_is_named_with_its_field(
    system: System, bad: dict[str, Any], pointer: str, word: str
) -> None:
    answer = await system.client.post("/v1/predictions", json=body(row(), bad))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert word in error["detail"]
    assert await events(system, TOPIC_PREDICTIONS) == []


async def test_what_may_be_missing_may_be_null_or_absent(system: System) -> None:
    ids = await post(system, changed(wind=None), without("wind"), without("holiday"), changed(wind=7))
    await system.settle()
    found = [(await system.client.get(f"/v1/predictions/{name}")).json()["features"] for name in ids]
    assert [one["wind"] for one in found] == [None, None, 3.5, 7.0]
    assert found[2]["holiday"] is None


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[1]", 422),
        (b'{"deployment":"late","version":1,"predictions":[]}', 422),
        (b'{"deployment":"late","version":"1","predictions":[]}', 422),
        (b'{"deployment":"late","version":1,"predictions":[{"features":{"hour":NaN},"output":{}}]}', 400),
        (b'{"predictions":[{"features":{"hour":' + b"[" * 100_000, 400),
    ],
)
async def test_a_body_of_the_wrong_kind_is_told(system: System, content: bytes, status: int) -> None:
    answer = await system.client.post("/v1/predictions", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_one_id_twice_in_a_body_is_refused(system: System) -> None:
    answer = await system.client.post("/v1/predictions", json=body(row(id="a"), row(id="a")))
    assert answer.json()["errors"] == [{"pointer": "/predictions/1/id", "detail": "'a' is also the id of row 0"}]


@pytest.mark.parametrize(
    ("deployment", "version", "code", "nearby"),
    [("lat", 1, "unknown-deployment", ["late"]), ("late", 9, "unknown-version", ["1", "2", "3"])],
)
async def test_an_unknown_target_is_404_with_what_is_nearby(
    system: System, deployment: str, version: int, code: str, nearby: list[str]
) -> None:
    sent = body(row(), version=version) | {"deployment": deployment}
    answer = await system.client.post("/v1/predictions", json=sent)
    assert (answer.status_code, answer.json()["type"]) == (404, f"urn:muniment:problem:{code}")
    assert answer.json()["nearby"] == nearby


@pytest.mark.parametrize(
    ("columns", "pointer"),
    [
        ({"feature__hour": None}, "feature.hour"),
        ({"feature__hour": [1.5, 2.0, 3.0]}, "feature.hour"),
        ({"feature__hour": pa.array([1, None, 3])}, "feature.hour/1"),
        ({"feature__hr": [1, 2, 3]}, "feature.hr"),
        ({"feature__wind": [1.0, float("inf"), 2.0]}, "feature.wind/1"),
        ({"feature__carrier": [1, 2, 3]}, "feature.carrier"),
        ({"output__probability": [0.1, float("nan"), 0.3]}, "output.probability/1"),
        ({"colour": ["a", "b", "c"]}, "colour"),
        ({"entity": [1, 2, 3]}, "entity"),
        ({"id": ["a", "b", "a"]}, "/predictions/2/id"),
        ({"id": ["a", "b", "c"], "prediction_id": ["a", "b", "c"]}, "id"),
    ],
)
async def test_a_wrong_column_is_named(system: System, columns: dict[str, Any], pointer: str) -> None:
    answer = await system.client.post("/v1/predictions", **arrow(table(3, **columns)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await events(system, TOPIC_PREDICTIONS) == []


@pytest.mark.parametrize("kept", [0, 3, 100, 0.5, -1])
async def test_a_torn_arrow_stream_is_told(system: System, kept: float) -> None:
    whole = arrow(table(100))
    length = int(len(whole["content"]) * kept) if isinstance(kept, float) else kept
    torn = whole | {"content": whole["content"][:length] if kept != -1 else b"no arrow at all"}
    answer = await system.client.post("/v1/predictions", **torn)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:muniment:problem:torn-arrow")


async def test_arrow_that_lies_about_its_inside_is_told(system: System) -> None:
    whole = bytearray(batches.write(table(100)))
    place = whole.find(b"AAUA") if b"AAUA" in whole else len(whole) // 2
    rng = np.random.default_rng(0)
    for _ in range(200):
        spoiled = bytearray(whole)
        for spot in rng.integers(place // 2, len(whole), 20):
            spoiled[spot] = rng.integers(256)
        answer = await system.client.post("/v1/predictions", **(arrow(table(1)) | {"content": bytes(spoiled)}))
        assert answer.status_code in (202, 413, 422), answer.text


@pytest.mark.parametrize(
    "at", [pa.array([AT], pa.timestamp("us")), pa.array([1.5]), pa.array([2**62], pa.int64()).cast(batches.TIMESTAMP)]
)
async def test_times_without_zone_or_sense_are_refused(system: System, at: pa.Array) -> None:
    answer = await system.client.post("/v1/predictions", **arrow(table(1).set_column(0, "at", at)))
    assert answer.status_code == 422


async def test_too_many_rows_and_no_target_are_told(system: System) -> None:
    assert (await system.client.post("/v1/predictions", **arrow(table(10_001)))).status_code == 413
    assert (await system.client.post("/v1/predictions", **arrow(table(0)))).status_code == 422
    answer = await system.client.post("/v1/predictions", content=batches.write(table(1)), headers=ARROW)
    assert answer.json()["type"] == "urn:muniment:problem:no-target"


async def test_without_a_signature_only_types_are_checked(system: System) -> None:
    free = {"features": {"x": 1, "note": "a"}, "output": {"score": 2.5}}
    ids = await post(system, free, {"features": {"x": 2.5}, "output": {"score": None}}, version=3)
    mixed = {"features": {"x": "one"}, "output": {}}
    answer = await system.client.post("/v1/predictions", json=body(free, mixed, version=3))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/predictions/0/features/x")
    await system.settle()
    assert (await system.client.get(f"/v1/predictions/{ids[1]}")).json()["features"] == {"x": 2.5, "note": None}


async def test_the_same_key_answers_as_before_and_counts_once(system: System) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await system.client.post("/v1/predictions", json=body(row(), row()), headers=key)
    again = await system.client.post("/v1/predictions", json=body(row(), row()), headers=key)
    other = await system.client.post("/v1/predictions", json=body(row()), headers=key)
    assert (first.status_code, again.json(), other.status_code) == (202, first.json(), 422)
    (event,) = await events(system, TOPIC_PREDICTIONS)
    system.stores["monitor"].committed.idempotency.clear()  # the answer was lost after the log had acknowledged
    await system.client.post("/v1/predictions", json=body(row(), row()), headers=key)
    assert [one.id for one in await events(system, TOPIC_PREDICTIONS)] == [event.id, event.id]
    await system.settle()
    assert (await window(system))["predictions"] == 2


async def test_an_own_id_posted_again_counts_once(system: System) -> None:
    await post(system, row(id="a"), row(id="b"))
    await post(system, row(id="b", output={"probability": 0.75}), row(id="c"))
    await system.settle()
    assert (await window(system))["predictions"] == 3
    assert (await system.client.get("/v1/predictions/b")).json()["output"] == {"probability": 0.25}


async def test_outcomes_join_and_a_correction_takes_the_first_one_back(system: System) -> None:
    ids = await post(system, row(output={"probability": 0.9}), row(id="mine", output={"probability": 0.1}))
    await tell(system, **{ids[0]: 1, "mine": 1})
    await system.settle()
    found = await window(system)
    assert (found["outcomes"], found["quality"]["true_positives"], found["quality"]["false_negatives"]) == (2, 1, 1)
    assert found["kpis"][0]["total"] == 300.0
    await tell(system, mine=0)
    await system.settle()
    found = await window(system)
    assert (found["outcomes"], found["quality"]["true_negatives"], found["quality"]["auc"]) == (2, 1, 1.0)
    assert found["quality"]["brier"] == pytest.approx(0.01)
    assert (await system.client.get("/v1/predictions/mine")).json()["outcome"]["value"] == 0.0
    joined = await events(system, TOPIC_JOINED)
    rows = [one for event in joined for one in batches.read(event.table or b"").to_pylist()]
    assert [(one["value"], one["weight"], one["output.probability"]) for one in rows] == [
        (1.0, 1, 0.9),
        (1.0, 1, 0.1),
        (1.0, -1, 0.1),
        (0.0, 1, 0.1),
    ]


async def test_of_two_outcomes_in_one_body_the_last_holds(system: System) -> None:
    ids = await post(system, row(id="a"), row())
    names = ["a", ids[1], "a", ids[1]]
    outcomes = [{"prediction_id": name, "value": place // 2} for place, name in enumerate(names)]
    assert (await system.client.post("/v1/outcomes", json={"outcomes": outcomes})).status_code == 202
    await system.settle()
    assert (await window(system))["outcomes"] == 2
    assert [(await system.client.get(f"/v1/predictions/{name}")).json()["outcome"]["value"] for name in ids] == [1, 1]


async def test_outcomes_told_before_their_predictions_wait_for_them(system: System) -> None:
    await tell(system, early=1)
    key = {"Idempotency-Key": "k"}
    lost = (await system.client.post("/v1/predictions", json=body(row(), row()), headers=key)).json()["ids"]
    await tell(system, **{lost[1]: 1, f"{lost[0][:36]}-7": 1})
    log = system.log
    moved = log._records.pop(TopicPartition(TOPIC_PREDICTIONS, 0))
    await system.settle()
    assert len(system.stores["monitor"].committed.rows["pending_outcomes"]) == 3
    log._records[TopicPartition(TOPIC_PREDICTIONS, 0)] = moved
    await post(system, row(id="early"), row())
    await system.settle()
    found = await window(system)
    assert (found["predictions"], found["outcomes"]) == (4, 2)
    waiting = system.stores["monitor"].committed.rows["pending_outcomes"].values()
    assert [one["row"] for one in waiting] == [7]


async def test_an_outcome_that_missed_its_prediction_is_found_by_the_sweep(system: System) -> None:
    ids = await post(system, row(), row())
    await system.settle()
    async with system.stores["monitor"].begin() as unit:
        from shared.log.tables import Put

        waiting = {"prediction_id": ids[1], "event": "e", "batch": ids[1][:36], "row": 1, "value": 1.0, "at": 5}
        await unit.apply([Put("pending_outcomes", waiting | {"told": 6})])
    await system.settle()
    assert (await window(system))["outcomes"] == 1
    assert not system.stores["monitor"].committed.rows["pending_outcomes"]


async def test_wrong_outcomes_are_told(system: System) -> None:
    send = system.client.post
    for bad in ({}, {"outcomes": []}, {"outcomes": [{"prediction_id": "a"}]}):
        assert (await send("/v1/outcomes", json=bad)).status_code == 422
    late = [{"prediction_id": "a", "value": 1, "at": "2999-01-01T00:00:00Z"}]
    assert (await send("/v1/outcomes", json={"outcomes": late})).json()["type"].endswith("time-in-future")
    torn = await send("/v1/outcomes", content=b"xx", headers=ARROW)
    assert torn.json()["type"].endswith("torn-arrow")
    for columns in ({"value": [1.0]}, {"prediction_id": ["a"], "value": [float("nan")]}, {"prediction_id": [1]}):
        content = batches.write(pa.record_batch(columns))
        assert (await send("/v1/outcomes", content=content, headers=ARROW)).status_code == 422
    assert await events(system, TOPIC_OUTCOMES) == []


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_year_in_small_agrees_with_numpy_whatever_the_partitions(partitions: int) -> None:
    async with monitoring(partitions, window_lateness_seconds=0) as system:
        rng = np.random.default_rng(1)
        scores, truths = [], []
        for day in range(6):
            for part in range(4):
                sent = table(50, AT + day * DAY, seed=day * 10 + part)
                batch = (await system.client.post("/v1/predictions", **arrow(sent))).json()["batch"]
                score = sent.column("output.probability").to_numpy()
                truth = (rng.random(50) < score).astype(float)
                outcomes = pa.record_batch(
                    {"prediction_id": [f"{batch}-{place}" for place in range(50)], "value": truth}
                )
                await system.client.post("/v1/outcomes", content=batches.write(outcomes), headers=ARROW)
                scores.append(score)
                truths.append(truth)
            if day % 2:
                await system.settle()
        score, truth = np.concatenate(scores), np.concatenate(truths)
        items = (await system.client.get("/v1/deployments/late/windows")).json()["items"]
        assert [item["predictions"] for item in items] == [200] * 6
        assert [item["closed"] for item in items] == [True] * 5 + [False]
        for day, item in enumerate(items):
            chosen = slice(day * 200, day * 200 + 200)
            assert item["quality"]["auc"] == pytest.approx(roc_auc_score(truth[chosen], score[chosen]), abs=0.002)
        (kpi,) = (await system.client.get("/v1/deployments/late/kpis")).json()["items"]
        positive = score >= 0.3
        cost = 60 * (positive & (truth == 0)).sum() + 300 * (~positive & (truth == 1)).sum()
        assert (kpi["total"], kpi["cases"], kpi["met"]) == (cost, 1200, False)
        measured = [one for one in await events(system, "muniment.monitor") if isinstance(one.data, WindowMeasured)]
        last = {one.data.window_start: one.data for one in measured}  # type: ignore[union-attr]
        assert [one.outcomes for one in last.values()] == [200] * 5


async def test_a_closed_window_is_measured_once_and_again_when_something_came_late(system: System) -> None:
    ids = await post(system, row(), row(output={"probability": 0.9}))
    await system.settle()
    assert await events(system, "muniment.monitor") == []
    await post(system, row(at=(AT + 2 * DAY).isoformat()), row(at=(AT + 2 * DAY).isoformat()))
    await system.settle()
    await system.settle()
    (first,) = [one.data for one in await events(system, "muniment.monitor")]
    assert isinstance(first, WindowMeasured)
    assert (first.revision, first.predictions, first.outcomes) == (0, 2, 0)
    await tell(system, **{ids[0]: 1, ids[1]: 1})
    await system.settle()
    said = [one.data for one in await events(system, "muniment.monitor")]
    assert [(one.revision, one.outcomes) for one in said if isinstance(one, WindowMeasured)] == [(0, 0), (1, 2)]
    (breach,) = [one for one in said if isinstance(one, KpiBreached)]
    assert (breach.value, breach.target) == (150.0, 20.0)
    await tell(system, **{ids[0]: 1})
    await system.settle()
    assert len(await events(system, "muniment.monitor")) == 3
    measured = (await system.client.get("/v1/deployments/late/windows")).json()["items"][0]
    assert (measured["closed"], measured["revision"]) == (True, 1)


async def test_drift_is_stated_once_and_read_by_feature(system: System) -> None:
    moved = table(400, feature__wind=np.full(400, 19.0))
    await system.client.post("/v1/predictions", **arrow(moved))
    await system.client.post("/v1/predictions", **arrow(table(1, AT + 3 * DAY)))
    await system.settle()
    await system.client.post("/v1/predictions", **arrow(moved))
    await system.settle()
    drifts = [one.data for one in await events(system, "muniment.monitor") if isinstance(one.data, DriftDetected)]
    assert [one.feature for one in drifts] == ["wind"]
    span = {"to": (AT + DAY).isoformat()}
    items = (await system.client.get("/v1/deployments/late/drift", params=span)).json()["items"]
    assert {item["feature"]: item["drifted"] for item in items} == {"carrier": False, "hour": False, "wind": True}


async def test_experiments_compare_versions_on_what_a_case_costs(system: System) -> None:
    for version, score in ((1, 0.1), (2, 0.9)):
        sent = table(500, output__probability=np.full(500, score))
        batch = (await system.client.post("/v1/predictions", **arrow(sent, version))).json()["batch"]
        truth = np.arange(500) % 2 == 0
        told = pa.record_batch({"prediction_id": [f"{batch}-{place}" for place in range(500)], "value": truth})
        await system.client.post("/v1/outcomes", content=batches.write(told), headers=ARROW)
    await system.settle()
    (item,) = (await system.client.get("/v1/deployments/late/experiments")).json()["items"]
    (other,) = item["others"]
    assert item["champion"] == {"version": 1, "cases": 500, "mean": 150.0}
    assert (other["version"], other["role"], other["difference"], item["winner"]) == (2, "challenger", -120.0, 2)
    low, high = other["confidence_interval"]
    assert low < -120 < high < 0
    assert (await system.client.get("/v1/deployments/late/experiments?kpi=cots")).json()["nearby"] == ["cost"]


async def test_windows_are_paged(system: System) -> None:
    for day in range(5):
        await system.client.post("/v1/predictions", **arrow(table(2, AT + day * DAY)))
    await system.settle()
    url, seen = "/v1/deployments/late/windows", []
    params: dict[str, Any] = {"limit": 2}
    while True:
        answer = (await system.client.get(url, params=params)).json()
        seen += [item["window_start"] for item in answer["items"]]
        if answer["next"] is None:
            break
        params["cursor"] = answer["next"]
    assert seen == [f"2013-04-0{day}T00:00:00Z" for day in range(1, 6)]


@pytest.mark.parametrize("path", ["windows", "drift", "kpis", "experiments"])
async def test_figures_of_an_unknown_deployment_are_404(system: System, path: str) -> None:
    answer = await system.client.get(f"/v1/deployments/lat/{path}")
    assert (answer.status_code, answer.json()["nearby"]) == (404, ["late"])
    empty = await system.client.get(f"/v1/deployments/late/{path}")
    assert empty.status_code == 200
    for unclear in ("2013-04-01T00:00:00", "2013"):
        assert (await system.client.get(f"/v1/deployments/late/{path}?from={unclear}")).status_code == 422


@pytest.mark.parametrize("name", ["nobody", "01890a5d-ac96-774b-bcce-b302099a8057-3", "x" * 5000])
async def test_an_unknown_prediction_is_404(system: System, name: str) -> None:
    assert (await system.client.get(f"/v1/predictions/{name}")).status_code == 404


async def test_what_fails_between_effect_and_commit_counts_once(system: System) -> None:
    consumer = system.consumer("monitor.predictions")
    handle, calls = consumer.handle, 0

    async def dies(unit: Any, received: Any) -> None:
        nonlocal calls
        calls += 1
        await handle(unit, received)
        if calls == 1:
            raise OSError("killed before the commit")

    consumer.handle = dies
    ids = await post(system, row(), row())
    await tell(system, **{ids[0]: 1})
    with pytest.raises(OSError, match="killed"):
        await system.settle()
    assert not system.stores["monitor"].committed.rows["window_states"]
    await system.settle()
    found = await window(system)
    assert (found["predictions"], found["outcomes"]) == (2, 1)


async def test_a_stale_owner_changes_nothing(system: System) -> None:
    await post(system, row(), row())
    stale, place = system.consumer("monitor.predictions"), TopicPartition(TOPIC_PREDICTIONS, 0)
    records = await system.log.read(place, 0, 10)
    await stale._assigned([place])
    await stale.store.claim(stale.name, [place])
    from shared.log.store import Fenced

    with pytest.raises(Fenced):
        await stale.catch_up(place, records)
    stale.forget(place)
    await system.settle()
    assert (await window(system))["predictions"] == 2


async def test_a_rebuild_gives_the_same_windows(system: System) -> None:
    ids = await post(system, row(), row(at=(AT + timedelta(days=3)).isoformat()))
    await tell(system, **{ids[0]: 1})
    await system.settle()
    before = (await system.client.get("/v1/deployments/late/windows")).json()
    store = system.stores["monitor"]
    for consumer in ("monitor.facts", "monitor.predictions"):
        await store.clear_views(consumer)
        system.consumer(consumer)._claims.clear()
    await system.settle()
    assert (await system.client.get("/v1/deployments/late/windows")).json() == before
