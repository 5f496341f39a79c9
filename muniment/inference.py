"""Open Inference Protocol v2 as columns: what is sent, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_TYPES = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}


@dataclass(frozen=True, slots=True)
class Inference:
    """Answers of n rows: ids for outcomes and flags, the version that answered each, outputs as [n] by name."""

    ids: list[str]
    versions: np.ndarray
    outputs: dict[str, np.ndarray]


def infer_body(features: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The request's JSON: one tensor [n] per feature; strings as BYTES."""
    body: dict[str, Any] = {"inputs": [_tensor(name, values) for name, values in features.items()]}
    if parameters:
        body["parameters"] = dict(parameters)
    return body


def read_inference(answer: Mapping[str, Any]) -> Inference:
    """The answer's rows."""
    parameters = answer["parameters"]
    outputs = {tensor["name"]: np.asarray(tensor["data"]).reshape(-1) for tensor in answer["outputs"]}
    return Inference(parameters["prediction_ids"], np.asarray(parameters["versions"], np.int64), outputs)


def _tensor(name: str, values: Any) -> dict[str, Any]:
    array = np.asarray(values)
    datatype = _TYPES.get(array.dtype.kind, "BYTES")
    data = array if datatype != "BYTES" else array.astype(object).tolist()
    return {"name": name, "shape": [len(array)], "datatype": datatype, "data": data}
