"""Real clients of the Open Inference Protocol against a real port: NVIDIA's `tritonclient`, JSON and binary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
import uvicorn
from onnx import TensorProto, helper

from services.deployer.service import DEFINITION
from shared.events.registry import Field, Signature
from tests.component.deployer_given import Registry, deploy, logged, registered, serialized, tensor
from tests.support import System, running

KINDS = {"double": ("FP64", TensorProto.DOUBLE), "long": ("INT64", TensorProto.INT64)}
KINDS |= {"boolean": ("BOOL", TensorProto.BOOL), "string": ("BYTES", TensorProto.STRING)}


def mirror() -> tuple[bytes, Signature]:
    """A model that answers each input as `INPUT_out`: a number, a whole number, a truth value and a text."""
    inputs = [helper.make_tensor_value_info(name, kind, [None]) for name, (_, kind) in KINDS.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_out", kind, [None]) for name, (_, kind) in KINDS.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in KINDS]
    fields = [tuple(Field(name=f"{name}{end}", type=name) for name in KINDS) for end in ("", "_out")]  # type: ignore[arg-type]
    return serialized(helper.make_graph(nodes, "mirror", inputs, outputs)), Signature(
        inputs=fields[0], outputs=fields[1]
    )


@asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[tuple[System, str]]:
    """The deployer at an address, with the mirror deployed as `late`."""
    async with running(DEFINITION) as system:
        registry = Registry(system, tmp_path)
        await registry.model_registered()
        data, signature = mirror()
        await registry.version(1, data, signature)
        await system.settle()
        await deploy(system)
        await system.settle()
        server = uvicorn.Server(uvicorn.Config(system.app, port=0, lifespan="off", log_config=None))
        task = asyncio.create_task(server.serve())
        async with asyncio.timeout(60):
            while not server.started:  # noqa: ASYNC110  uvicorn tells in no other way
                await asyncio.sleep(0.01)
        try:
            yield system, f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


COLUMNS: dict[str, np.ndarray] = {
    "double": np.array([1.5, np.nan, -0.0]),
    "long": np.array([2**62, -1, 0]),
    "boolean": np.array([True, False, True]),
    "string": np.array(["Zoë", "", "x" * 300], np.object_),
}


def inputs(module: Any, binary: bool) -> list[Any]:
    given: list[Any] = []
    for name, column in COLUMNS.items():
        one = module.InferInput(name, [3], KINDS[name][0])
        one.set_data_from_numpy(column, binary_data=binary)
        given.append(one)
    return given


def check(answer: Any) -> None:
    for name in ("double", "long", "boolean"):
        np.testing.assert_array_equal(np.asarray(answer.as_numpy(f"{name}_out"), COLUMNS[name].dtype), COLUMNS[name])
    texts = [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("string_out")]
    assert texts == COLUMNS["string"].tolist()


@pytest.mark.parametrize("into", [True, False])
@pytest.mark.parametrize("out", [True, False])
async def test_tritonclient_infers_in_binary_and_json(tmp_path: Path, into: bool, out: bool) -> None:
    async with serving(tmp_path) as (system, address):
        client = triton_aio.InferenceServerClient(address)
        given = inputs(triton_aio, into)
        if not into:  # JSON has no NaN: the protocol's clients cannot send one
            given[0].set_data_from_numpy(np.array([1.5, 2.5, -0.0]), binary_data=False)
        outputs = [triton_aio.InferRequestedOutput(f"{name}_out", binary_data=out) for name in KINDS]
        answer = await client.infer("late", given, outputs=outputs, request_id="mine")
        if into and out:
            check(answer)
        np.testing.assert_array_equal(answer.as_numpy("long_out"), COLUMNS["long"])
        told = answer.get_response()
        assert (told["id"], told["model_name"], told["model_version"]) == ("mine", "late", "1")
        assert len(told["parameters"]["prediction_ids"]) == 3
        ((_, batch),) = await logged(system)
        assert batch.num_rows == 3
        await client.close()


async def test_tritonclient_with_its_defaults_and_its_health_and_metadata(tmp_path: Path) -> None:
    def session(address: str) -> None:
        client = triton.InferenceServerClient(address)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("late")
        assert client.is_model_ready("late", "1")
        assert not client.is_model_ready("nobody")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        told = client.get_model_metadata("late")
        assert {one["name"]: one["datatype"] for one in told["inputs"]} == {k: v[0] for k, v in KINDS.items()}
        check(client.infer("late", inputs(triton, True)))
        check(client.infer("late", inputs(triton, True), model_version="1"))
        check(client.infer("late", inputs(triton, True), request_compression_algorithm="gzip"))
        check(client.infer("late", inputs(triton, True), request_compression_algorithm="deflate"))
        with pytest.raises(triton.InferenceServerException, match="no deployment 'nobody'"):
            client.infer("nobody", inputs(triton, True))
        with pytest.raises(triton.InferenceServerException, match="is missing"):
            client.infer("late", inputs(triton, True)[1:])
        client.close()

    async with serving(tmp_path) as (_, address):
        await asyncio.to_thread(session, address)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 1)
        await deploy(system)
        yield system


HEAD = b'{"inputs":[{"name":"delay","datatype":"FP64","shape":[1],"parameters":{"binary_data_size":%d}},'
REST = b'{"name":"hour","datatype":"FP64","shape":[1],"data":[2.0]}]}'


@pytest.mark.parametrize(
    ("size", "raw", "header", "code"),
    [
        (8, b"", None, "bad-binary"),
        (8, np.array([1.0]).tobytes() + b"more", None, "bad-binary"),
        (7, b"1234567", None, "bad-binary"),
        (16, np.array([1.0, 2.0]).tobytes(), None, "bad-shape"),
        (8, np.array([np.inf]).tobytes(), None, "out-of-range"),
        (8, np.array([1.0]).tobytes(), "x", "bad-binary"),
        (8, np.array([1.0]).tobytes(), "999999", "bad-binary"),
        (8, np.array([1.0]).tobytes(), "10", "malformed-json"),
    ],
)
async def test_bad_binary_data_is_the_protocols_error(system: System, size: int, raw: bytes, header, code: str) -> None:
    text = HEAD % size + REST
    headers = {"Inference-Header-Content-Length": header or str(len(text))}
    answer = await system.client.post("/v2/models/late/infer", content=text + raw, headers=headers)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (400, code), answer.text
    assert isinstance(answer.json()["error"], str)
    assert await logged(system) == []


async def test_binary_and_json_inputs_may_be_mixed(system: System) -> None:
    text = HEAD % 8 + REST
    headers = {"Inference-Header-Content-Length": str(len(text))}
    content = text + np.array([1.0]).tobytes()
    answer = await system.client.post("/v2/models/late/infer", content=content, headers=headers)
    assert answer.json()["outputs"][0]["data"] == [3.0]


@pytest.mark.parametrize("raw", [b"\x01", b"\x05\0\0\0abc", b"\x01\0\0\0\xff", b"\x01\0\0\0\0"])
async def test_torn_texts_and_those_no_database_keeps_are_refused(system: System, raw: bytes) -> None:
    one = b'{"inputs":[{"name":"delay","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%d}}]}'
    text = one % len(raw)
    headers = {"Inference-Header-Content-Length": str(len(text))}
    answer = await system.client.post("/v2/models/late/infer", content=text + raw, headers=headers)
    assert answer.status_code == 400


async def test_a_json_request_may_ask_for_raw_outputs(system: System) -> None:
    body = {"inputs": [tensor("delay", [1.0]), tensor("hour", [2.0])], "outputs": [{"name": "p"}]}
    plain = await system.client.post("/v2/models/late/infer", json=body)
    assert plain.headers["content-type"] == "application/json"
    body["parameters"] = {"binary_data_output": True}  # type: ignore[assignment]
    answer = await system.client.post("/v2/models/late/infer", json=body)
    length = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.content[length:], "<f8").tolist() == [3.0]
