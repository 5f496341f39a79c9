"""One row per request through the gateway, logged on Kafka, against a bare endpoint that runs the same session."""

import asyncio
import hashlib
from pathlib import Path

import httpx
import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper

from bench import given
from bench.http_load import post, rate
from bench.line import Line, middle
from bench.stack import Stack
from services.deployer.projection import project
from services.deployer.service import DEFINITION
from shared.events import registry
from shared.events.envelope import Event
from shared.runtime.commands import new_id
from shared.runtime.wiring import ports

CONNECTIONS = 32
SECONDS = 2.0
ROUNDS = 3
PATH = "/v2/models/bench/infer"


def model() -> bytes:
    """A logistic regression of ten features, as one matrix."""
    size = len(given.FEATURES)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [size, 1], np.linspace(-1, 1, size).tolist())
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Sigmoid", ["y"], ["probability"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, size])]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, "bench", inputs, outputs, [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def body() -> bytes:
    """One row in the protocol's JSON form."""
    values = np.random.default_rng(0).normal(size=len(given.FEATURES)).round(6).tolist()
    return orjson.dumps(
        {
            "inputs": [
                {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
                for name, value in zip(given.FEATURES, values, strict=True)
            ]
        }
    )


async def measure(stack: Stack) -> list[Line]:
    artifact = await asyncio.to_thread(_written, stack.settings.data_dir)
    await _known(stack, artifact)
    floor = stack.process("bare_infer", ["-m", "bench.bare_infer", artifact.uri.removeprefix("file://")])
    ours = stack.process("deployer", ["-m", "services.deployer", "api"])
    await _deployed(ours)
    request = post(PATH, body(), "application/json")
    for port in (floor, ours):
        await rate(port, request, CONNECTIONS, SECONDS / 2)  # warm
    rounds = [
        (await rate(ours, request, CONNECTIONS, SECONDS), await rate(floor, request, CONNECTIONS, SECONDS))
        for _ in range(ROUNDS)
    ]
    mine, bare = middle(rounds)
    figures = f"{mine:,.0f}/s against {bare:,.0f}/s, {CONNECTIONS} connections"
    return [Line("one row per inference, logged", mine / bare, "bare FastAPI, same session, no log", 0.6, figures)]


def _written(folder: Path) -> registry.Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    path, data = (folder / "bench.onnx").resolve(), model()
    path.write_bytes(data)
    return registry.Artifact(uri=path.as_uri(), sha256=hashlib.sha256(data).hexdigest())


async def _known(stack: Stack, artifact: registry.Artifact) -> None:
    """Let the deployer's views hold the model and its version."""
    version = given.VERSION.model_copy(update={"artifact": artifact, "reference": {}})
    async with ports(DEFINITION, stack.settings) as service, service.store.begin() as unit:
        for fact in (registry.ModelRegistered(model=given.NAME, goal="", owner="ana"), version):
            event = Event(new_id(), "/muniment/registry", given.NAME, given.AT, 1, "ana", fact, recorded=given.AT)
            await unit.apply(project(event))


async def _deployed(port: int) -> None:
    wanted = {"name": given.NAME, "model": given.NAME, "version": 1, "environment": "bench"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.post("/v1/deployments", json=wanted)
        assert answer.status_code == 201, answer.text
