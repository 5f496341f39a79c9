"""Inference by the Open Inference Protocol: answers, their log, and what is refused."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from services.deployer.service import DEFINITION
from shared.events.monitor import PredictionLogged
from shared.events.registry import Field, Signature
from shared.log.store import StoreUnavailable
from tests.component.deployer_given import (
    DELAY,
    HOUR,
    SUM,
    P,
    Registry,
    classifier,
    deploy,
    flights,
    logged,
    registered,
    set_traffic,
    sum_model,
    tensor,
)
from tests.support import System, running

INFER = "/v2/models/late/infer"


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        yield system


@pytest.fixture
async def registry(system: System, tmp_path: Path) -> Registry:
    """Versions 1 to 3 answer their number times the sum of both features; version 1 is deployed as `late`."""
    registry = await registered(system, tmp_path, 3)
    await deploy(system)
    return registry


async def infer(system: System, body: Any, path: str = INFER, **more: Any) -> dict[str, Any]:
    answer = await system.client.post(path, json=body, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """An error in the protocol's form, with the problem's members beside it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"] == body["detail"]
    assert body["type"] == f"urn:muniment:problem:{code}"
    assert answer.headers["content-type"] == "application/json"
    return body


async def test_one_row_is_answered_and_logged(system: System, registry: Registry) -> None:
    at = "2026-03-01T12:00:00Z"
    body = flights((3.0, 4.0), entity="N1", segment="JFK", at=at) | {"id": "request-1"}
    answer = await infer(system, body, headers={"X-Actor": "gate"})
    [(event, batch)] = await logged(system)
    assert answer == {
        "model_name": "late",
        "model_version": "1",
        "id": "request-1",
        "outputs": [{"name": "p", "datatype": "FP64", "shape": [1], "data": [7.0]}],
        "parameters": {"prediction_ids": [f"{event.id}-0"], "versions": [1]},
    }
    fact = event.data
    assert isinstance(fact, PredictionLogged)
    assert (fact.deployment, fact.model, fact.version, fact.rows, fact.client_ids) == (
        "late",
        "late-flights",
        1,
        1,
        False,
    )
    assert (event.source, event.actor, event.sequence) == ("/muniment/deployer", "gate", 0)
    [row] = batch.to_pylist()
    assert row.pop("at").isoformat() == "2026-03-01T12:00:00+00:00"
    assert row == {"entity": "N1", "segment": "JFK", "feature.delay": 3.0, "feature.hour": 4.0, "output.p": 7.0}


async def test_many_rows_are_answered_and_logged_as_one_batch(system: System, registry: Registry) -> None:
    times = ["2026-03-01T12:00:00Z", None, "2026-03-01T14:00:00+01:00"]
    answer = await infer(system, flights((1, 2), (3, 4), (5, 6), entity=["a", None, 7], at=times))
    [(event, batch)] = await logged(system)
    assert answer["outputs"][0]["data"] == [3.0, 7.0, 11.0]
    assert answer["parameters"] == {"prediction_ids": [f"{event.id}-{row}" for row in range(3)], "versions": [1, 1, 1]}
    assert batch.column("entity").to_pylist() == ["a", None, "7"]
    assert [at.hour for at in batch.column("at").to_pylist()][::2] == [12, 13]
    assert isinstance(event.data, PredictionLogged)
    assert event.data.start.isoformat() == "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor("delay", [1, 2], "INT8"), tensor("hour", [3, 4], "UINT64")],
        [tensor("delay", [1.0, 2.0], "FP32", [2, 1]), tensor("hour", [[3.0], [4.0]], "FP16", [2, 1])],
        [tensor("anything", [1.0, 3.0, 2.0, 4.0], "FP64", [2, 2])],
        [tensor("anything", [[1.0, 3.0], [2.0, 4.0]], "FP32", [2, 2])],
    ],
)
async def test_tensors_come_in_several_shapes(system: System, registry: Registry, inputs: list[Any]) -> None:
    answer = await infer(system, {"inputs": inputs})
    assert answer["outputs"][0]["data"] == [4.0, 6.0]
    [(_, batch)] = await logged(system)
    assert batch.column("feature.delay").to_pylist() == [1.0, 2.0]


async def test_null_is_nan_and_logged_as_missing(system: System, registry: Registry) -> None:
    answer = await infer(system, flights((None, 4.0)))
    assert answer["outputs"][0]["data"] == [None]
    answer = await infer(system, flights((None, 4.0), (1.0, 2.0)))
    assert answer["outputs"][0]["data"] == [None, 3.0]
    batches = sorted((batch for _, batch in await logged(system)), key=lambda batch: batch.num_rows)
    assert [batch.column("feature.delay").to_pylist() for batch in batches] == [[None], [None, 1.0]]
    assert [batch.column("output.p").null_count for batch in batches] == [1, 1]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([], 400, "bad-request"),
        ({}, 400, "bad-inputs"),
        ({"inputs": []}, 400, "bad-inputs"),
        ({"inputs": [1]}, 400, "bad-tensor"),
        ({"inputs": [tensor("delay", [1.0])]}, 400, "missing-input"),
        ({"inputs": [*flights((1, 2))["inputs"], tensor("delai", [1.0])]}, 400, "unknown-input"),
        ({"inputs": [*flights((1, 2))["inputs"], tensor("hour", [1.0])]}, 400, "input-twice"),
        ({"inputs": [tensor("delay", [1.0]), tensor("hour", [1.0, 2.0])]}, 400, "bad-shape"),
        ({"inputs": [tensor("delay", [1.0], shape=[2]), tensor("hour", [1.0])]}, 400, "bad-shape"),
        ({"inputs": [tensor("delay", [1.0], shape=[0]), tensor("hour", [1.0])]}, 400, "bad-shape"),
        ({"inputs": [tensor("delay", [1.0], shape=[-1]), tensor("hour", [1.0])]}, 400, "bad-shape"),
        ({"inputs": [tensor("delay", [[1.0], [2.0, 3.0]], shape=[2, 1]), tensor("hour", [1.0])]}, 400, "bad-shape"),
        ({"inputs": [tensor("m", [1.0, 2.0, 3.0], shape=[1, 3])]}, 400, "bad-shape"),
        ({"inputs": [tensor("delay", [1.0], "FLOAT"), tensor("hour", [1.0])]}, 400, "bad-datatype"),
        ({"inputs": [tensor("delay", ["x"], "BYTES"), tensor("hour", [1.0])]}, 400, "bad-datatype"),
        ({"inputs": [tensor("delay", [True], "BOOL"), tensor("hour", [1.0])]}, 400, "bad-datatype"),
        ({"inputs": [tensor("delay", ["1"]), tensor("hour", [1.0])]}, 400, "bad-data"),
        ({"inputs": [tensor("delay", [True]), tensor("hour", [1.0])]}, 400, "bad-data"),
        ({"inputs": [tensor("delay", [None], "INT64"), tensor("hour", [1.0])]}, 400, "bad-data"),
        ({"inputs": [tensor("delay", [1.5], "INT64"), tensor("hour", [1.0])]}, 400, "bad-data"),
        ({"inputs": [tensor("delay", [300], "UINT8"), tensor("hour", [1.0])]}, 400, "out-of-range"),
        ({"inputs": [tensor("delay", [1e300], "FP32"), tensor("hour", [1.0])]}, 400, "out-of-range"),
        ({"inputs": [{"name": "delay", "datatype": "FP64", "shape": [1]}]}, 400, "bad-data"),
        ({"inputs": [tensor("x", [1.0], shape=[100_000, 100_000])]}, 413, "tensor-too-large"),
        ({"inputs": [tensor("x", [1.0], shape=[2] * 9)]}, 400, "bad-shape"),
        (flights(*[(1.0, 2.0)] * 10_001), 413, "too-many-rows"),
        (flights((1, 2), entity=["a", "b"]), 400, "bad-parameters"),
        (flights((1, 2), entity={"a": 1}), 400, "bad-parameters"),
        (flights((1, 2), at="noon"), 400, "bad-parameters"),
        (flights((1, 2), at=5), 400, "bad-parameters"),
        (flights((1, 2), at="2026-03-01T12:00:00"), 422, "time-without-zone"),
        (flights((1, 2), at="2999-01-01T00:00:00Z"), 422, "time-in-future"),
        (flights((1, 2), (1, 2), id="x"), 400, "bad-parameters"),
        (flights((1, 2), id="01890000-0000-7000-8000-000000000000-0"), 400, "reserved-id"),
        (flights((1, 2)) | {"parameters": [1]}, 400, "bad-parameters"),
        (flights((1, 2)) | {"id": 5}, 400, "bad-id"),
        (flights((1, 2)) | {"outputs": [{"name": "q"}]}, 400, "unknown-output"),
        (flights((1, 2)) | {"outputs": [{"name": []}]}, 400, "bad-outputs"),
    ],
)
async def test_bad_input_is_told_and_leaves_no_trace(
    system: System, registry: Registry, body: Any, status: int, code: str
) -> None:
    refused(await system.client.post(INFER, json=body), status, code)
    assert await logged(system) == []


async def test_what_is_no_json_is_told(system: System, registry: Registry) -> None:
    for content in (b"{", b'{"inputs": NaN}', b"\xff"):
        answer = await system.client.post(INFER, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
    text = json.dumps(flights((1, 2), entity="a\0b"))  # no content type says that it is JSON
    refused(await system.client.post(INFER, content=text), 400, "malformed-json")
    assert await logged(system) == []


async def test_what_a_signature_leaves_open_is_refused_once_it_is_known(system: System, registry: Registry) -> None:
    await registry.version(2, signature=Signature(inputs=(DELAY, HOUR), outputs=()))
    await registry.version(3, signature=Signature(inputs=(), outputs=()))
    await system.settle()
    await deploy(system, 2, name="open")
    await deploy(system, 3, name="bare")
    asked = flights((1, 2)) | {"outputs": [{"name": "q"}]}
    told = refused(await system.client.post("/v2/models/open/infer", json=asked), 400, "unknown-output")
    assert told["nearby"] == ["p"]
    refused(await system.client.post("/v2/models/bare/infer", json=flights((1, 2))), 400, "no-inputs")
    assert await logged(system) == []


async def test_an_unknown_input_is_told_with_those_nearby(system: System, registry: Registry) -> None:
    inputs = [*flights((1, 2))["inputs"], tensor("delai", [1.0])]
    assert refused(await system.client.post(INFER, json={"inputs": inputs}), 400, "unknown-input")["nearby"] == [
        "delay"
    ]


async def test_an_unknown_deployment_is_told_with_those_nearby(system: System, registry: Registry) -> None:
    body = refused(await system.client.post("/v2/models/latte/infer", json=flights((1, 2))), 404, "unknown-deployment")
    assert body["nearby"] == ["late"]
    for path in ("/v2/models/latte", "/v2/models/latte/ready"):
        refused(await system.client.get(path), 404, "unknown-deployment")


async def test_own_ids_name_the_predictions(system: System, registry: Registry) -> None:
    answer = await infer(system, flights((1, 2), (3, 4), id=["a", "b"]))
    assert answer["parameters"]["prediction_ids"] == ["a", "b"]
    assert (await infer(system, flights((1, 2), id="c")))["parameters"]["prediction_ids"] == ["c"]
    events = await logged(system)
    assert all(isinstance(event.data, PredictionLogged) and event.data.client_ids for event, _ in events)
    assert [batch.column("prediction_id").to_pylist() for _, batch in events] == [["a", "b"], ["c"]]


async def test_rows_are_shared_out_and_each_version_logs_its_own(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 30.0), (3, 20.0), sticky_by="entity")
    entities = [f"N{number}" for number in range(1_000)]
    rows = [(float(number), 0.0) for number in range(1_000)]
    answer = await infer(system, flights(*rows, entity=entities))
    versions = answer["parameters"]["versions"]
    counts = Counter(versions)
    assert abs(counts[2] - 300) < 75
    assert abs(counts[3] - 200) < 65
    assert "model_version" not in answer
    expected = [version * row[0] for version, row in zip(versions, rows, strict=True)]
    assert answer["outputs"][0]["data"] == expected
    ids = answer["parameters"]["prediction_ids"]
    for event, batch in await logged(system):
        assert isinstance(event.data, PredictionLogged)
        for row, (entity, value) in enumerate(
            zip(batch.column("entity").to_pylist(), batch.column("feature.delay").to_pylist(), strict=True)
        ):
            place = entities.index(entity)
            assert ids[place] == f"{event.id}-{row}"
            assert (versions[place], rows[place][0]) == (event.data.version, value)


async def test_an_entity_stays_with_its_version(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 50.0), sticky_by="entity")
    entities = [f"N{number}" for number in range(50)]
    before = [(await infer(system, flights((1, 2), entity=one)))["model_version"] for one in entities]
    assert len(set(before)) == 2
    await set_traffic(system, 1, (2, 60.0), sticky_by="entity")
    after = (await infer(system, flights(*[(1, 2)] * 50, entity=entities)))["parameters"]["versions"]
    assert all(now == 2 for was, now in zip(before, after, strict=True) if was == "2")


async def test_stickiness_by_an_input(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 50.0), sticky_by="hour")
    answer = await infer(system, flights(*[(float(row), float(row % 24)) for row in range(240)]))
    versions = np.array(answer["parameters"]["versions"]).reshape(10, 24)
    assert (versions == versions[0]).all()
    assert set(versions[0].tolist()) == {1, 2}


async def test_rows_without_a_key_fall_by_chance(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 50.0))
    versions = (await infer(system, flights(*[(1.0, 2.0)] * 1_000, entity="one")))["parameters"]["versions"]
    assert 400 < versions.count(2) < 600


async def test_one_version_can_be_asked_by_number(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 0.0), shadows=[3])
    answer = await infer(system, flights((1, 2)), "/v2/models/late/versions/2/infer")
    assert (answer["model_version"], answer["outputs"][0]["data"]) == ("2", [6.0])
    for version, status, code in (("3", 409, "shadow"), ("4", 404, "unknown-version"), ("x", 404, "unknown-version")):
        path = f"/v2/models/late/versions/{version}/infer"
        refused(await system.client.post(path, json=flights((1, 2))), status, code)


async def test_a_promotion_answers_at_once(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 10.0))
    await system.client.post("/v1/deployments/late/promote", json={})
    assert (await infer(system, flights((1, 2))))["model_version"] == "2"
    await system.client.post("/v1/deployments/late/rollback", json={})
    assert {(await infer(system, flights((1, 2))))["model_version"] for _ in range(3)} <= {"1", "2"}
    await system.client.post("/v1/deployments/late/rollback", json={})
    assert (await infer(system, flights((1, 2))))["model_version"] == "1"


async def test_shadows_are_logged_and_never_answer(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, shadows=[3])
    answer = await infer(system, flights((1, 2), (3, 4), id=["a", "b"], entity="N1"))
    assert answer["outputs"][0]["data"] == [3.0, 7.0]
    for close in system.services["deployer"].on_close:
        await close()
    events = await logged(system)
    by_version = {event.data.version: batch for event, batch in events}  # type: ignore[attr-defined]
    assert by_version[3].column("output.p").to_pylist() == [9.0, 21.0]
    assert by_version[3].column("entity").to_pylist() == ["N1", "N1"]
    assert "prediction_id" not in by_version[3].schema.names
    (answer_batch,) = [event.id for event, _ in events if event.data.version == 1]  # type: ignore[attr-defined]
    assert by_version[3].column("shadow_of").to_pylist() == [f"{answer_batch}-0", f"{answer_batch}-1"]
    assert "shadow_of" not in by_version[1].schema.names


async def test_a_shadow_knows_which_prediction_answered_each_row(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 50.0), shadows=[3])
    alone = (await infer(system, flights((1, 2))))["parameters"]["prediction_ids"]
    many = (await infer(system, flights(*[(1.0, 2.0)] * 40)))["parameters"]["prediction_ids"]
    for close in system.services["deployer"].on_close:
        await close()
    shadows = [batch for event, batch in await logged(system) if event.data.version == 3]  # type: ignore[attr-defined]
    assert [one.column("shadow_of").to_pylist() for one in shadows] == [alone, many]
    assert len({name[:36] for name in many}) == 2


async def test_a_broken_shadow_harms_nobody(system: System, registry: Registry) -> None:
    path = await registry.version(4)
    await system.settle()
    await set_traffic(system, 1, shadows=[4])
    path.write_bytes(b"something else")
    assert (await infer(system, flights((1, 2))))["outputs"][0]["data"] == [3.0]
    await system.services["deployer"].on_close[0]()
    await system.settle()
    shadows = (await system.client.get("/v1/deployments/late")).json()["shadows"]
    assert shadows == [{"version": 4, "dropped": 0, "failed": 1}]
    assert len(await logged(system)) == 1


async def test_shadows_that_do_not_keep_up_are_dropped_and_counted(tmp_path: Path) -> None:
    async with running(DEFINITION, max_shadow_requests=1) as system:
        await registered(system, tmp_path, 2)
        await deploy(system)
        await set_traffic(system, 1, shadows=[2])
        many = flights(*[(1.0, 2.0)] * 10)
        for _ in range(20):
            await infer(system, many)
        await system.services["deployer"].on_close[0]()
        await system.settle()
        [shadow] = (await system.client.get("/v1/deployments/late")).json()["shadows"]
        asked = [event for event, _ in await logged(system) if event.data.version == 2]  # type: ignore[attr-defined]
        assert len(asked) + shadow["dropped"] == 20
        assert shadow["failed"] == 0


@pytest.mark.parametrize("wrong", ["digest", "absent", "scheme", "torn", "signature"])
async def test_what_is_not_as_registered_is_not_served(system: System, registry: Registry, wrong: str) -> None:
    given: dict[str, dict[str, Any]] = {
        "digest": {},
        "absent": {"uri": "/nowhere/model.onnx"},
        "scheme": {"uri": "ftp://host/model.onnx"},
        "torn": {"data": b"no model"},
        "signature": {"signature": Signature(inputs=(DELAY,), outputs=(P,))},
    }
    path = await registry.version(4, **given[wrong])
    await system.settle()
    await deploy(system, 4, name="bad")
    if wrong == "digest":
        path.write_bytes(b"something else")
    body = refused(await system.client.get("/v2/models/bad/ready"), 503, "model-not-ready")
    assert body["ready"] is False
    inputs = [tensor("delay", [1.0])] if wrong == "signature" else flights((1, 2))["inputs"]
    told = refused(await system.client.post("/v2/models/bad/infer", json={"inputs": inputs}), 503, "model-not-ready")
    reason = {"digest": "SHA-256", "absent": "cannot be read", "scheme": "not from ftp:", "torn": "no ONNX"}
    assert reason.get(wrong, "not in the signature") in told["error"]
    assert await logged(system) == []


async def test_the_bytes_are_those_that_were_checked(system: System, registry: Registry) -> None:
    await infer(system, flights((1, 2)))
    (registry.folder / "late-flights-1.onnx").write_bytes(sum_model(100.0))
    assert (await infer(system, flights((1, 2))))["outputs"][0]["data"] == [3.0]


async def test_a_classifier_answers_the_probability_of_its_last_class(system: System, tmp_path: Path) -> None:
    registry = Registry(system, tmp_path)
    await registry.model_registered()
    data = classifier()
    await registry.version(
        1, data, Signature(inputs=(DELAY, HOUR), outputs=(Field(name="probability", type="double"),))
    )
    label = Field(name="late", type="long")
    await registry.version(2, data, Signature(inputs=(DELAY, HOUR), outputs=(label, P)))
    await system.settle()
    await deploy(system)
    await deploy(system, 2, name="both")
    session = onnxruntime.InferenceSession(data)
    labels, wanted = session.run(None, {session.get_inputs()[0].name: np.array([[1, 2], [0, 0]], np.float32)})
    answer = await infer(system, flights((1, 2), (0, 0)))
    assert [one["name"] for one in answer["outputs"]] == ["probability"]
    assert answer["outputs"][0]["data"] == wanted[:, 1].astype(float).tolist()
    both = await infer(system, flights((1, 2), (0, 0)), "/v2/models/both/infer")
    assert both["outputs"][0] == {"name": "late", "datatype": "INT64", "shape": [2], "data": labels.tolist()}
    assert both["outputs"][1]["data"] == answer["outputs"][0]["data"]
    only = await infer(system, flights((1, 2)) | {"outputs": [{"name": "late"}]}, "/v2/models/both/infer")
    assert [one["name"] for one in only["outputs"]] == ["late"]


async def test_elsewhere_is_told(system: System, registry: Registry) -> None:
    await deploy(system, name="away", runtime={"kind": "external", "url": "https://models.example/late"})
    body = refused(await system.client.post("/v2/models/away/infer", json=flights((1, 2))), 409, "served-elsewhere")
    assert body["url"] == "https://models.example/late"


async def test_a_remote_server_that_is_away_is_told(system: System, registry: Registry) -> None:
    await deploy(system, name="far", runtime={"kind": "v2", "url": "http://127.0.0.1:1"})
    refused(await system.client.post("/v2/models/far/infer", json=flights((1, 2))), 502, "runtime-failed")
    refused(await system.client.get("/v2/models/far/ready"), 503, "model-not-ready")
    assert await logged(system) == []


async def test_a_store_that_is_away_leaves_the_known_routes_in_use(
    system: System, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await infer(system, flights((1, 2)))

    async def away() -> Any:
        raise StoreUnavailable("restarting")

    monkeypatch.setattr(system.stores["deployer"], "offsets", away)
    monkeypatch.setattr("services.deployer.serving.routes.monotonic", lambda: monotonic() + 1_000)
    assert (await infer(system, flights((1, 2))))["model_version"] == "1"


async def test_the_retired_answers_nothing(system: System, registry: Registry) -> None:
    await system.client.post("/v1/deployments/late/retire", json={})
    refused(await system.client.post(INFER, json=flights((1, 2))), 409, "retired")
    assert (await system.client.get("/v2/models/late/ready")).status_code == 503


async def test_the_protocols_other_paths(system: System, registry: Registry) -> None:
    await set_traffic(system, 1, (2, 10.0))
    client = system.client
    assert (await client.get("/v2")).json()["name"] == "muniment"
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    assert (await client.get("/v2/models/late/ready")).json() == {"name": "late", "ready": True}
    assert (await client.get("/v2/models/late/versions/2/ready")).json()["ready"] is True
    found = (await client.get("/v2/models/late")).json()
    assert (found["versions"], found["platform"]) == (["1", "2"], "onnxruntime_onnx")
    assert found["inputs"][0] == {"name": "delay", "datatype": "FP64", "shape": [-1]}
    assert found["outputs"] == [{"name": "p", "datatype": "FP64", "shape": [-1]}]
    assert (await client.get("/v2/models/late/versions/2")).json()["versions"] == ["2"]
    refused(await client.get("/v2/models/late/versions/9"), 404, "unknown-version")


async def test_an_idempotency_key_predicts_once(system: System, registry: Registry) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await infer(system, flights((1, 2)), headers=headers)
    assert await infer(system, flights((1, 2)), headers=headers) == first
    assert len(await logged(system)) == 1
    refused(await system.client.post(INFER, json=flights((9, 9)), headers=headers), 422, "idempotency-key-reused")
    answer = await infer(system, flights((1, 2)), headers={"Idempotency-Key": "k2"})
    assert answer["parameters"]["prediction_ids"] != first["parameters"]["prediction_ids"]


async def test_changes_of_other_processes_arrive(system: System, registry: Registry) -> None:
    """Another process of the service shares the store and nothing else."""
    from httpx import ASGITransport, AsyncClient

    from shared.runtime.app import create_app
    from shared.runtime.commands import CommandLoop
    from shared.runtime.running import Running
    from shared.runtime.service import Service

    store = system.stores["deployer"]
    other = Service("deployer", system.settings, store, system.log, system.live, CommandLoop("deployer", store))
    app = create_app("Another", [Running(DEFINITION, other, works=False)], system.settings)
    transport = ASGITransport(app, client=("127.0.0.1", 50001))
    await system.settle()
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post(INFER, json=flights((1, 2)))).json()["model_version"] == "1"
        event_id = (await set_traffic(system, 2))["event_id"]
        await system.settle()
        answer = await client.post(INFER, json=flights((1, 2)), params={"after": event_id})
        assert answer.json()["model_version"] == "2"
    for close in other.on_close:
        await close()


async def test_signatures_may_differ_between_champion_and_challenger(system: System, registry: Registry) -> None:
    extra = Field(name="wind", type="double", required=False)
    await registry.version(4, signature=Signature(inputs=(DELAY, HOUR, extra), outputs=(P,)))
    await system.settle()
    await set_traffic(system, 1, (4, 50.0))
    rows = [*flights(*[(1.0, 2.0)] * 40)["inputs"], tensor("wind", [5.0] * 40)]
    answer = await infer(system, {"inputs": rows})
    assert set(answer["parameters"]["versions"]) == {1, 4}
    columns = {event.data.version: batch.schema.names for event, batch in await logged(system)}  # type: ignore[attr-defined]
    assert "feature.wind" in columns[4]
    assert "feature.wind" not in columns[1]


def test_the_sum_has_the_signature_it_claims() -> None:
    session = onnxruntime.InferenceSession(sum_model())
    assert [one.name for one in session.get_inputs()] == [one.name for one in SUM.inputs]


@pytest.mark.parametrize(("path", "status"), [("/v2/models/late/infer", 413), ("/v2/models/late/nothing", 404)])
async def test_what_no_route_took_is_refused_in_the_protocols_words_too(path: str, status: int) -> None:
    async with running(DEFINITION, max_body_bytes=1_000) as system:
        answer = await system.client.post(path, content=b"1" * (2_000 if status == 413 else 1))
        told = answer.json()
        assert (answer.status_code, told["error"]) == (status, told["detail"])
