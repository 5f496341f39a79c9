"""The answer as the protocol has it, and the descriptions of models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from services.deployer.serving.frames import Columns
from services.deployer.serving.records import Shape
from services.deployer.serving.refusals import bad_request
from services.deployer.serving.routes import Route, Served
from services.deployer.serving.tensors import write_tensor
from shared.runtime.predictions import Value
from shared.runtime.responses import encoded

if TYPE_CHECKING:
    from services.deployer.serving.versions import Part

_KINDS = {"f": "FP64", "i": "INT64", "b": "BOOL", "O": "BYTES"}
_DATATYPES = {"double": "FP64", "long": "INT64", "boolean": "BOOL", "string": "BYTES"}


def answer_of(
    route: Route, parts: "list[Part]", versions: np.ndarray, ids: list[str], asked: list[str] | None, request_id: str
) -> dict[str, Any]:
    """Outputs row by row, with the id and the version of each row's prediction."""
    columns = _together(parts, len(ids))
    if asked is not None:
        columns = {name: columns[name] for name in asked if name in columns}
    answer: dict[str, Any] = {"model_name": route.name}
    if len(parts) == 1:
        answer["model_version"] = str(parts[0].version)
    parameters: dict[str, Any] = {"prediction_ids": ids, "versions": versions.tolist()}
    if 0 in parameters["versions"]:
        parameters["fallback"] = "constant"
    return answer | {
        "id": request_id,
        "outputs": [write_tensor(name, column) for name, column in columns.items()],
        "parameters": parameters,
    }


def lone_answer(name: str, shape: Shape, values: Sequence[Value], prediction: str, request_id: str) -> bytes:
    """The same, as JSON, for one row of one version."""
    version = shape.target.version
    outputs = [
        {"name": output, "datatype": _KINDS[kind], "shape": [1], "data": [value]}
        for (output, kind), value in zip(shape.outputs, values, strict=True)
    ]
    return encoded(
        {
            "model_name": name,
            "model_version": str(version),
            "id": request_id,
            "outputs": outputs,
            "parameters": {"prediction_ids": [prediction], "versions": [version]},
        }
    )


def asked_outputs(route: Route, outputs: Any) -> list[str] | None:
    """The outputs that a request wants, None for all. Raises Problem 400."""
    if outputs is None:
        return None
    if not isinstance(outputs, list) or any(not _named(one) for one in outputs):
        raise bad_request("bad-outputs", "'outputs' must be a list of objects with a name.")
    names = [one["name"] for one in outputs]
    known = {one.name for served in route.served.values() for one in served.signature.outputs}
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise bad_request("unknown-output", f"The model has no output {unknown[0]!r:.100}.", nearby=sorted(known))
    return names or None


def answered_outputs(parts: "list[Part]", asked: list[str] | None) -> None:
    """Raise Problem 400 where an output is asked for that no version answered: before, nobody knows the outputs of a
    model whose signature names none. A constant says what it says."""
    if asked is None or any(part.version == 0 for part in parts):
        return
    known = {name for part in parts for name in part.outputs}
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise bad_request("unknown-output", f"The model has no output {unknown[0]!r:.100}.", nearby=sorted(known))


def metadata(route: Route, served: Served, platform: str, versions: list[int]) -> dict[str, Any]:
    """The model's metadata by the protocol."""
    return {
        "name": route.name,
        "versions": [str(version) for version in versions],
        "platform": platform,
        "inputs": [_described(one.name, one.type) for one in served.signature.inputs],
        "outputs": [_described(one.name, one.type) for one in served.signature.outputs],
    }


def _named(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("name"), str)


def _described(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "datatype": _DATATYPES[kind], "shape": [-1]}


def _together(parts: "list[Part]", rows: int) -> Columns:
    """The parts' outputs in the rows' order. Where versions differ, numbers become FP64 with null for what a version
    does not answer, and everything else text."""
    if len(parts) == 1:
        return parts[0].outputs
    names = dict.fromkeys(name for part in parts for name in part.outputs)
    return {name: _joined(name, parts, rows) for name in names}


def _joined(name: str, parts: "list[Part]", rows: int) -> np.ndarray:
    having = [part for part in parts if name in part.outputs]
    kinds = {part.outputs[name].dtype for part in having}
    whole = len(having) == len(parts)
    if len(kinds) == 1 and (whole or kinds == {np.dtype(np.float64)}):
        joined = np.full(rows, np.nan, np.float64) if not whole else np.empty(rows, kinds.pop())
    elif all(kind.kind in "fib" for kind in kinds):
        joined = np.full(rows, np.nan, np.float64)
    else:
        joined = np.full(rows, "", np.object_)
    for part in having:
        column = part.outputs[name]
        joined[part.places] = [str(value) for value in column] if joined.dtype.kind == "O" else column
    return joined
