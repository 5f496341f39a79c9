"""One row per request through the gateway, logged on Kafka, against a bare endpoint and MLServer with one session."""

import asyncio
import hashlib
from pathlib import Path

import httpx
import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper

from bench import given
from bench.http_load import Load, load, post, rate
from bench.line import Line, middle
from bench.peer import NotHad, installed
from bench.stack import Stack
from devstack import processes
from services.deployer.projection import project
from services.deployer.service import DEFINITION
from shared.events import registry
from shared.events.envelope import Event
from shared.runtime.commands import new_id
from shared.runtime.wiring import ports

CONNECTIONS = 32
SECONDS = 2.0
ROUNDS = 3
MLSERVER = ["mlserver==1.7.*", "uvloop==0.21.0", "onnxruntime"]
"""Its workers crash with a newer uvloop."""

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
    artifact = await asyncio.to_thread(written, stack.settings.data_dir)
    await registered(stack, 1, artifact)
    path = artifact.uri.removeprefix("file://")
    floor = stack.process("bare_infer", ["-m", "bench.bare_infer", path])
    ours = stack.process("deployer", ["-m", "services.deployer", "api"])
    await deployed(ours)
    lines = await _beside(stack, ("deployer", ours), ("bare_infer", floor), "bare FastAPI, same session, no log", 0.6)
    try:
        python = await asyncio.to_thread(installed, "mlserver", MLSERVER)
    except NotHad as error:
        return [*lines, Line("one row per inference, logged", float("nan"), "MLServer (not there)", None, str(error))]
    more = {"BENCH_ONNX": path, "BENCH_GRPC_PORT": str(processes.free_port())}
    served = [str(Path(__file__).parent / "peers" / "mlserver_serve.py")]
    peer = stack.process("mlserver", served, str(python), more)
    what = "MLServer 1.7, parallel_workers=0, same session"
    return lines + (await _beside(stack, ("deployer", ours), ("mlserver", peer), what, 3.0))[:2]


async def _beside(stack: Stack, ours: tuple[str, int], peer: tuple[str, int], what: str, least: float) -> list[Line]:
    """Rates, CPU per answer and 99th percentiles of both, round by round in turn."""
    request = post(PATH, body(), "application/json")
    for _, port in (peer, ours):
        await rate(port, request, CONNECTIONS, SECONDS / 2)  # warm
    rounds = [(await _one(stack, *ours, request), await _one(stack, *peer, request)) for _ in range(ROUNDS)]
    mine, its = middle([(one.rate, other.rate) for (one, _), (other, _) in rounds])
    own_cpu, its_cpu = middle([(one, other) for (_, one), (_, other) in rounds])
    slow, its_slow = middle([(one.percentile(99), other.percentile(99)) for (one, _), (other, _) in rounds])
    name = "one row per inference, logged"
    figures = f"{mine:,.0f}/s against {its:,.0f}/s, {CONNECTIONS} connections"
    cpu = f"{own_cpu * 1e6:.0f} µs of CPU against {its_cpu * 1e6:.0f} µs"
    late = f"{slow * 1e3:.1f} ms against {its_slow * 1e3:.1f} ms, service time, not corrected"
    return [
        Line(name, mine / its, what, least, figures),
        Line(f"{name}: answers by CPU", its_cpu / own_cpu, what, None, cpu),
        Line(f"{name}: p99", its_slow / slow, what, 0.5, late),
    ]


async def _one(stack: Stack, name: str, port: int, request: bytes) -> tuple[Load, float]:
    """A round of one server, and the seconds of its CPU per answer."""
    before = stack.cpu(name)
    found = await load(port, request, CONNECTIONS, SECONDS)
    return found, (stack.cpu(name) - before) / len(found.seconds)


def written(folder: Path) -> registry.Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    path, data = (folder / "bench.onnx").resolve(), model()
    path.write_bytes(data)
    return registry.Artifact(uri=path.as_uri(), sha256=hashlib.sha256(data).hexdigest())


async def registered(stack: Stack, number: int, artifact: registry.Artifact) -> None:
    """Let the deployer's views hold the model and its version."""
    version = given.VERSION.model_copy(update={"version": number, "artifact": artifact, "reference": {}})
    async with ports(DEFINITION, stack.settings) as service, service.store.begin() as unit:
        for fact in (registry.ModelRegistered(model=given.NAME, goal="", owner="ana"), version):
            event = Event(new_id(), "/muniment/registry", given.NAME, given.AT, 1, "ana", fact, recorded=given.AT)
            await unit.apply(project(event))


async def deployed(port: int) -> None:
    wanted = {"name": given.NAME, "model": given.NAME, "version": 1, "environment": "bench"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.post("/v1/deployments", json=wanted)
        assert answer.status_code == 201, answer.text
