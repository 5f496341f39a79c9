"""A model as ONNX that the monitor can ask: the risk that a flight is late, of a number, a whole number and a text."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from shared.events import registry

WEIGHTS = {"departure_delay": 0.05, "hour": 0.1}
CARRIERS = {"AA": -0.5, "UA": 0.0, "B6": 0.75}
SIGNATURE = registry.Signature(
    inputs=(
        registry.Field(name="departure_delay", type="double", unit="min", description="Departure delay"),
        registry.Field(name="hour", type="long", description="Hour of departure [h]"),
        registry.Field(name="carrier", type="string"),
    ),
    outputs=(registry.Field(name="probability", type="double", description="Risk of a late arrival"),),
)
REFERENCE: dict[str, tuple[Any, ...]] = {
    "departure_delay": tuple(float(value) for value in np.linspace(-10, 40, 240)),
    "hour": tuple(range(24)) * 10,
    "carrier": ("AA", "UA", "B6") * 80,
}


def risk(departure_delay: float, hour: int, carrier: str) -> float:
    """What the model answers, by hand."""
    score = WEIGHTS["departure_delay"] * departure_delay + WEIGHTS["hour"] * hour + CARRIERS.get(carrier, 0.0) - 3
    return float(1 / (1 + np.exp(-score)))


def model_bytes() -> bytes:
    """sigmoid(weights · numbers + carrier − 3), each input [n, 1]."""
    names = list(CARRIERS)
    inputs = [
        helper.make_tensor_value_info("departure_delay", TensorProto.DOUBLE, [None, 1]),
        helper.make_tensor_value_info("hour", TensorProto.INT64, [None, 1]),
        helper.make_tensor_value_info("carrier", TensorProto.STRING, [None, 1]),
    ]
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["carrier"],
            ["named"],
            domain="ai.onnx.ml",
            keys_strings=names,
            values_floats=[CARRIERS[name] for name in names],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["named"], ["carried"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["hour"], ["hours"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["departure_delay", "w_delay"], ["a"]),
        helper.make_node("Mul", ["hours", "w_hour"], ["b"]),
        helper.make_node("Sum", ["a", "b", "carried", "less"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["probability"]),
    ]
    constants = [
        helper.make_tensor("w_delay", TensorProto.DOUBLE, [1], [WEIGHTS["departure_delay"]]),
        helper.make_tensor("w_hour", TensorProto.DOUBLE, [1], [WEIGHTS["hour"]]),
        helper.make_tensor("less", TensorProto.DOUBLE, [1], [-3.0]),
    ]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.DOUBLE, [None, 1])]
    graph = helper.make_graph(nodes, "risk", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def artifact(folder: Path) -> registry.Artifact:
    """The model on disk."""
    data = model_bytes()
    path = folder / "risk.onnx"
    path.write_bytes(data)
    return registry.Artifact(uri=path.as_uri(), sha256=hashlib.sha256(data).hexdigest())
