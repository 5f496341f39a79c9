"""Runtimes: models kept loaded, and models behind another server of the protocol."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from onnx import TensorProto, helper

from services.deployer.service import DEFINITION
from services.deployer.serving import onnx as onnx_runtime
from services.deployer.serving.frames import Frame
from services.deployer.serving.onnx import OnnxModel, OnnxModels
from services.deployer.serving.refusals import Unservable
from services.deployer.serving.remote import Limits, RemoteModels
from shared.events.registry import Artifact, Field, Signature
from shared.models import ModelFailed
from shared.models.artifacts import read_artifact
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings
from tests.component.deployer_given import (
    DELAY,
    HOUR,
    SUM,
    P,
    classifier,
    deploy,
    logged,
    registered,
    serialized,
    set_traffic,
    sum_model,
)
from tests.support import running

FRAME = Frame(2, {"delay": np.array([1.0, 2.0]), "hour": np.array([3.0, np.nan])})


def written(folder: Path, version: int) -> Artifact:
    data = sum_model(float(version))
    path = folder / f"{version}.onnx"
    path.write_bytes(data)
    return Artifact(uri=path.as_uri(), sha256=hashlib.sha256(data).hexdigest().upper())


async def test_only_so_many_models_stay_loaded(tmp_path: Path) -> None:
    models = OnnxModels(Settings(max_sessions=2))
    artifacts = {version: written(tmp_path, version) for version in (1, 2, 3)}

    async def get(version: int) -> OnnxModel:
        return await models.get(("m", version), artifacts[version], SUM)

    first, second = await get(1), await get(2)
    assert await get(1) is first
    await get(3)
    assert await get(1) is first
    assert await get(2) is not second


async def test_only_so_many_bytes_of_models_stay_loaded(tmp_path: Path) -> None:
    artifacts = {version: written(tmp_path, version) for version in (1, 2)}
    size = (tmp_path / "1.onnx").stat().st_size
    models = OnnxModels(Settings(max_models_bytes=2 * size - 1))
    first = await models.get(("m", 1), artifacts[1], SUM)
    second = await models.get(("m", 2), artifacts[2], SUM)
    assert await models.get(("m", 2), artifacts[2], SUM) is second
    assert await models.get(("m", 1), artifacts[1], SUM) is not first
    with pytest.raises(Unservable, match="more than"):
        await OnnxModels(Settings(max_models_bytes=size - 1)).get(("m", 1), artifacts[1], SUM)


async def test_a_model_is_loaded_once_however_many_ask(tmp_path: Path) -> None:
    import asyncio

    models = OnnxModels(Settings())
    artifact = written(tmp_path, 1)
    found = await asyncio.gather(*(models.get(("m", 1), artifact, SUM) for _ in range(5)))
    assert len({id(one) for one in found}) == 1


async def test_an_artifact_put_right_is_found_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = OnnxModels(Settings())
    artifact = written(tmp_path, 1)
    path = tmp_path / "1.onnx"
    data = path.read_bytes()
    path.write_bytes(b"other")
    monkeypatch.setattr(onnx_runtime, "RETRY_SECONDS", -1.0)
    with pytest.raises(Unservable, match="SHA-256"):
        await models.get(("m", 1), artifact, SUM)
    path.write_bytes(data)
    assert await models.get(("m", 1), artifact, SUM)


@pytest.mark.parametrize("uri", ["ftp://host/x", "http://host/x", "file://host/x", "/nowhere", "/tmp", "a\0b"])  # noqa: S108
def test_other_places_are_not_read(uri: str) -> None:
    with pytest.raises(Unservable):
        read_artifact(uri, 100)


def test_an_artifact_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "a b.onnx"
    path.write_bytes(b"12345")
    assert read_artifact(path.as_uri(), 5) == b"12345"
    assert read_artifact(str(path), 5) == b"12345"
    with pytest.raises(Unservable, match="more than 4"):
        read_artifact(str(path), 4)


def test_every_type_of_feature_reaches_the_model() -> None:
    """All inputs come back as they went in: [n] and [n, 1], numbers, booleans and text."""
    kinds = {"double": TensorProto.DOUBLE, "long": TensorProto.INT64, "boolean": TensorProto.BOOL}
    kinds |= {"string": TensorProto.STRING}
    shapes = {"double": [None], "long": [None, 1], "boolean": [None, 1], "string": [None, 1]}
    inputs = [helper.make_tensor_value_info(kind, kinds[kind], shapes[kind]) for kind in kinds]
    outputs = [helper.make_tensor_value_info(f"{kind}_out", kinds[kind], shapes[kind]) for kind in kinds]
    nodes = [helper.make_node("Identity", [kind], [f"{kind}_out"]) for kind in kinds]
    fields = {name: tuple(Field(name=f"{kind}{name}", type=kind) for kind in kinds) for name in ("", "_out")}  # type: ignore[arg-type]
    model = OnnxModel(
        serialized(helper.make_graph(nodes, "same", inputs, outputs)),
        Signature(inputs=fields[""], outputs=fields["_out"]),
        Settings(),
    )
    columns = {
        "double": np.array([1.5, np.nan]),
        "long": np.array([2**53 + 1, -1]),
        "boolean": np.array([True, False]),
        "string": np.array(["Zoë", ""], np.object_),
    }
    answer = model.answer(Frame(2, columns))
    for kind, column in columns.items():
        np.testing.assert_array_equal(answer[f"{kind}_out"], column)


def test_inputs_of_the_graph_share_the_features_out_by_their_widths() -> None:
    """Two matrices, as converters make of numbers of two types."""
    inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [None, 2]),
        helper.make_tensor_value_info("counts", TensorProto.INT32, [None, 1]),
    ]
    outputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, [None, 2]),
        helper.make_tensor_value_info("b", TensorProto.INT32, [None, 1]),
    ]
    nodes = [helper.make_node("Identity", ["numbers"], ["a"]), helper.make_node("Identity", ["counts"], ["b"])]
    data = serialized(helper.make_graph(nodes, "shared", inputs, outputs))
    fields = (DELAY, HOUR, Field(name="seats", type="long"))
    model = OnnxModel(data, Signature(inputs=fields, outputs=()), Settings())
    rows = {"delay": np.array([1.0, 2.0]), "hour": np.array([3.0, 4.0]), "seats": np.array([5, -6])}
    answer = {name: column.tolist() for name, column in model.answer(Frame(2, rows)).items()}
    assert answer == {"a_0": [1, 2], "a_1": [3, 4], "b": [5, -6]}
    with pytest.raises(ModelFailed, match="outside int32"):
        model.answer(Frame(2, rows | {"seats": np.array([0, 2**31])}))
    for wrong in (fields[:2], (*fields, P)):
        with pytest.raises(Unservable, match="the model takes"):
            OnnxModel(data, Signature(inputs=wrong, outputs=()), Settings())


def test_a_feature_is_no_matrix() -> None:
    inputs = [helper.make_tensor_value_info("delay", TensorProto.FLOAT, [None, 2])]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 2])]
    data = serialized(helper.make_graph([helper.make_node("Identity", ["delay"], ["p"])], "m", inputs, outputs))
    with pytest.raises(Unservable, match="more than the one feature"):
        OnnxModel(data, Signature(inputs=(DELAY,), outputs=()), Settings())


def test_a_classifier_with_its_zipmap_answers_as_one_without() -> None:
    numbers = {"delay": np.array([1.0, 3.0]), "hour": np.array([0.0, 2.0])}
    both = [OnnxModel(classifier(zipmap), SUM, Settings()).answer(Frame(2, numbers)) for zipmap in (False, True)]
    assert both[0]["p"].tolist() == both[1]["p"].tolist()


@pytest.mark.parametrize("rows", [1, 6_000])
async def test_many_rows_run_in_a_thread_with_the_same_answer(rows: int) -> None:
    model = OnnxModel(sum_model(2.0), SUM, Settings())
    values = np.arange(rows, dtype=np.float64)
    answer = await model.run(Frame(rows, {"delay": values, "hour": values}))
    np.testing.assert_array_equal(answer["p"], values * 4)


async def test_another_server_of_the_protocol_answers(tmp_path: Path) -> None:
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 2)
        await deploy(system)
        await set_traffic(system, 1, (2, 10.0))
        transport = httpx.ASGITransport(system.app, client=("127.0.0.1", 50002))
        remote = RemoteModels(Limits(seconds=5.0, max_values=1_000), transport)
        answer = await remote.run("http://test/", "late", 2, FRAME, SUM)
        np.testing.assert_array_equal(answer["p"], [8.0, np.nan])
        assert len(await logged(system)) == 1
        assert await remote.ready("http://test/v2/models/late", "other", 2) is None
        assert await remote.ready("http://test", "none", 1) == "http://test answers 404"
        with pytest.raises(Unservable, match="wants the input 'hour'"):
            await remote.run("http://test", "late", 2, Frame(1, {"delay": np.array([1.0])}), SUM)
        await remote.close()


def told(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


DELAYS, HOURS = [1.0, 2.0], [3.0, None]


@pytest.mark.parametrize(
    ("inputs", "asked"),
    [
        ([], [("delay", "FP64", [2], DELAYS), ("hour", "FP64", [2], HOURS)]),
        (
            [told("hour", "FP32", -1, 1), told("delay", "INT16", -1)],
            [("hour", "FP32", [2, 1], HOURS), ("delay", "INT16", [2], [1, 2])],
        ),
        ([told("x", "FP32", -1, 2)], [("x", "FP32", [2, 2], [1.0, 3.0, 2.0, None])]),
        ([told("x", "FP64", 2)], [("x", "FP64", [2, 2], [1.0, 3.0, 2.0, None])]),
        ([told("x", "FP64", -1, -1)], [("x", "FP64", [2, 2], [1.0, 3.0, 2.0, None])]),
        ([told("a", "FP64", -1), told("b", "FP64", -1)], [("a", "FP64", [2], DELAYS), ("b", "FP64", [2], HOURS)]),
        ([told("delay", "BYTES", -1), told("hour", "FP64", -1)], "as BYTES"),
        ([told("delay", "FP64", -1), told("x", "FP64", -1)], "wants the input 'x'"),
        ([told("x", "FP64", -1, 3)], "has 2 inputs"),
        ([told("x", "FP64", -1, 2, 1)], "has 2 inputs"),
    ],
)
async def test_a_server_is_asked_as_its_metadata_tell(inputs: list[Any], asked: Any) -> None:
    """By names and datatypes as strict servers want them, or as a table where it tells no inputs."""
    bodies: list[Any] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"name": "late", "versions": ["1"], "inputs": inputs})
        bodies.append(orjson.loads(request.content))
        return httpx.Response(200, json={"outputs": [told("p", "FP64", 2) | {"data": [7.0, 8.0]}]})

    remote = RemoteModels(Limits(), httpx.MockTransport(handle))
    if isinstance(asked, str):
        with pytest.raises(Unservable, match=asked):
            await remote.run("http://remote", "late", 1, FRAME, SUM)
        assert asked in (await remote.ready("http://remote", "late", 1, SUM) or "")
    else:
        await remote.run("http://remote", "late", 1, FRAME, SUM)
        (body,) = bodies
        assert [(one["name"], one["datatype"], one["shape"], one["data"]) for one in body["inputs"]] == asked
        assert ("parameters" in body) == (not inputs)
        assert await remote.ready("http://remote", "late", 1, SUM) is None
    await remote.close()


async def test_a_value_that_the_servers_datatype_does_not_hold_is_refused() -> None:
    inputs = [told("delay", "INT8", -1), told("hour", "FP64", -1)]
    handle = httpx.MockTransport(lambda request: httpx.Response(200, json={"inputs": inputs}))
    remote = RemoteModels(Limits(), handle)
    for value in (1.5, 300.0, np.nan):
        frame = Frame(1, {"delay": np.array([value]), "hour": np.array([1.0])})
        with pytest.raises(Problem) as caught:
            await remote.run("http://remote", "late", 1, frame, SUM)
        assert (caught.value.status, caught.value.code) == (400, "out-of-range")
    await remote.close()


@pytest.mark.parametrize(("status", "versions"), [(404, []), (501, None)])
async def test_a_server_that_knows_no_versions_answers_for_the_champion_alone(status: int, versions: Any) -> None:
    """MLServer where no version is set, and KServe's own servers."""

    def handle(request: httpx.Request) -> httpx.Response:
        if "/versions/" in request.url.path:
            return httpx.Response(status, json={"error": "no versions"})
        if request.method == "GET":
            return httpx.Response(200, json={"name": "late", "versions": versions, "inputs": []})
        return httpx.Response(200, json={"outputs": [told("p", "FP64", 2) | {"data": [7.0, 8.0]}]})

    remote = RemoteModels(Limits(), httpx.MockTransport(handle))
    assert (await remote.run("http://remote", "late", 3, FRAME, SUM))["p"].tolist() == [7.0, 8.0]
    assert await remote.ready("http://remote", "late", 3, SUM) is None
    with pytest.raises(Unservable, match="champion alone"):
        await remote.run("http://remote", "late", 4, FRAME, SUM, champion=False)
    assert "champion alone" in (await remote.ready("http://remote", "late", 4, SUM, champion=False) or "")
    await remote.close()


def answering(status: int, body: bytes) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    async def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body)

    return handle


async def slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("too slow", request=request)


async def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


@pytest.mark.parametrize(
    ("handle", "status", "code"),
    [
        (slow, 504, "runtime-timeout"),
        (away, 502, "runtime-failed"),
        (answering(500, b"oops"), 502, "runtime-failed"),
        (answering(404, b"{}"), 502, "runtime-failed"),
        (answering(200, b"<html>"), 502, "runtime-failed"),
        (answering(200, b"[]"), 502, "runtime-failed"),
        (answering(200, b'{"outputs": [{"name": "p"}]}'), 502, "runtime-failed"),
        (answering(400, b'{"error": "no"}'), 400, "model-failed"),
    ],
)
async def test_a_server_that_fails_is_told(handle: Any, status: int, code: str) -> None:
    remote = RemoteModels(Limits(seconds=5.0, max_values=1_000), httpx.MockTransport(handle))
    with pytest.raises(Problem) as caught:
        await remote.run("http://remote", "late", 1, FRAME, SUM)
    assert (caught.value.status, caught.value.code) == (status, code)
    await remote.close()
