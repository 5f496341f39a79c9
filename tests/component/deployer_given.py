"""What component tests of the deployer say again and again: tiny ONNX models, and what a registry would state."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper

from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS, topic_of
from shared.events.codec import decode, encode
from shared.events.envelope import Event, Payload
from shared.events.monitor import PredictionLogged
from shared.events.registry import (
    Artifact,
    Field,
    GateChanged,
    ModelRegistered,
    ModelVersionRegistered,
    Rule,
    Signature,
)
from shared.log.records import TopicPartition
from shared.runtime.commands import new_id, now
from tests.support import System

DELAY = Field(name="delay", type="double")
HOUR = Field(name="hour", type="double")
P = Field(name="p", type="double")
SUM = Signature(inputs=(DELAY, HOUR), outputs=(P,))


def sum_model(factor: float = 1.0) -> bytes:
    """p = factor * (delay + hour); an input [n, 1] per feature, the output [n, 1]."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("delay", "hour")]
    output = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])
    nodes = [
        helper.make_node("Add", ["delay", "hour"], ["sum"]),
        helper.make_node("Mul", ["sum", "factor"], ["p"]),
    ]
    constant = helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])
    return serialized(helper.make_graph(nodes, "sum", inputs, [output], [constant]))


def serialized(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def classifier(zipmap: bool = False) -> bytes:
    """A logistic regression of scikit-learn on one matrix [n, 2]: outputs a label and probabilities [n, 2], or a map of
    them per row."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    features = np.array([[0, 0], [1, 0], [0, 1], [3, 3]], np.float32)
    model = LogisticRegression().fit(features, [0, 0, 1, 1])
    return to_onnx(model, features[:1], options={"zipmap": zipmap}).SerializeToString()  # type: ignore[union-attr]


class Registry:
    """States what a registry would, straight on its topic."""

    def __init__(self, system: System, folder: Path, model: str = "late-flights") -> None:
        self.system, self.folder, self.model = system, folder, model
        self._sequence = 0

    async def model_registered(self) -> None:
        await self.state(ModelRegistered(model=self.model, owner="ada"))

    async def version(
        self,
        version: int,
        data: bytes | None = None,
        signature: Signature = SUM,
        gate: bool | None = True,
        uri: str | None = None,
        sha256: str | None = None,
    ) -> Path:
        """A version with its artifact on disk, and its production gate (None: not stated)."""
        path = self.folder / f"{self.model}-{version}.onnx"
        data = sum_model(float(version)) if data is None else data
        path.write_bytes(data)
        artifact = Artifact(uri=uri or str(path), sha256=sha256 or hashlib.sha256(data).hexdigest())
        await self.state(
            ModelVersionRegistered(model=self.model, version=version, artifact=artifact, signature=signature)
        )
        if gate is not None:
            await self.gate(version, gate)
        return path

    async def gate(self, version: int, allowed: bool) -> str:
        rule = Rule(rule="quality", passed=allowed, reason="Evidence 'auc' passed." if allowed else "No evidence.")
        return await self.state(
            GateChanged(model=self.model, version=version, stage="production", allowed=allowed, rules=(rule,))
        )

    async def state(self, payload: Payload) -> str:
        self._sequence += 1
        subject = f"model/{self.model}"
        event = Event(new_id(), "/muniment/registry", subject, now(), self._sequence, "ada", payload)
        await self.system.log.publish(topic_of(payload), [encode(event)])
        return event.id


async def registered(
    system: System, folder: Path, versions: int, closed: int | None = None, **changed: Any
) -> Registry:
    """A registry that stated a model with versions 1 to `versions`, all with open gates but the one that is `closed`,
    and was heard. `changed`: what else is told of each version."""
    registry = Registry(system, folder)
    await registry.model_registered()
    for version in range(1, versions + 1):
        await registry.version(version, gate=version != closed, **changed)
    await system.settle()
    return registry


async def deploy(system: System, version: int = 1, **changed: Any) -> dict[str, Any]:
    """Deploy `late` and return the answer's body."""
    body = {"name": "late", "model": "late-flights", "version": version, "environment": "production"} | changed
    answer = await system.client.post("/v1/deployments", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def set_traffic(system: System, champion: int, *challengers: tuple[int, float], **changed: Any) -> dict[str, Any]:
    shares = [{"version": version, "percent": percent} for version, percent in challengers]
    body = {"champion": champion, "challengers": shares} | changed
    answer = await system.client.put("/v1/deployments/late/traffic", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tensor(name: str, data: list[Any], datatype: str = "FP64", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def flights(*rows: tuple[float | None, float], **parameters: Any) -> dict[str, Any]:
    """A request of these (delay, hour)."""
    body: dict[str, Any] = {
        "inputs": [tensor("delay", [row[0] for row in rows]), tensor("hour", [row[1] for row in rows])]
    }
    return body | ({"parameters": parameters} if parameters else {})


async def logged(system: System) -> list[tuple[Event, pa.RecordBatch]]:
    """Every batch of predictions on the log, in order, once all that was answered is there."""
    for flush in system.services["deployer"].flushes:
        await flush()
    records = await system.log.read(TopicPartition(TOPIC_PREDICTIONS, 0), 0, 10_000)
    events = [decode(record) for record in records]
    assert all(isinstance(event.data, PredictionLogged) for event in events)
    return [(event, batches.read(event.table or b"")) for event in events]
