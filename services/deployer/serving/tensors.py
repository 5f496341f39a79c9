"""Tensors of the Open Inference Protocol v2 (JSON form): read, checked, and written.

Source: Open Inference Protocol, REST, "Tensor Data" (datatypes, shapes, row-major data flat or nested). `null` in an FP
tensor is NaN, since JSON has no NaN; everywhere else it is refused. Binary data: `binary`.
"""

from typing import Any, NamedTuple

import numpy as np

from services.deployer.serving.refusals import bad_request
from shared.runtime.problems import Problem

DATATYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    **{f"INT{bits}": getattr(np, f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": getattr(np, f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": getattr(np, f"float{bits}") for bits in (16, 32, 64)},
    "BYTES": np.object_,
}
_NULL = type(None)
_FP: tuple[frozenset[type], str] = (frozenset((int, float, _NULL)), "numbers, and null for NaN")
_INT: tuple[frozenset[type], str] = (frozenset((int,)), "whole numbers")
_TAKES = {name: _FP if name.startswith("FP") else _INT for name in DATATYPES}
_TAKES |= {"BOOL": (frozenset((bool,)), "true and false"), "BYTES": (frozenset((str,)), "strings")}
_NARROW = ("FP16", "FP32")
MAX_RANK = 8


class Tensor(NamedTuple):
    """`array` has the declared shape and datatype; BYTES are `str` objects."""

    name: str
    datatype: str
    array: np.ndarray


def read_tensors(inputs: Any, max_values: int) -> list[Tensor]:
    """The tensors of a request's `inputs` (or a remote answer's `outputs`). Raises Problem 400, 413."""
    if not isinstance(inputs, list) or not inputs:
        raise bad_request("bad-inputs", "'inputs' must be a list of at least one tensor.")
    tensors = [_lone(one) or _read(one, place, max_values) for place, one in enumerate(inputs)]
    if len({one.name for one in tensors}) < len(tensors):
        names = [one.name for one in tensors]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise bad_request("input-twice", f"Inputs {twice} come more than once.")
    return tensors


def write_tensor(name: str, column: np.ndarray) -> dict[str, Any]:
    """A column [n] (float64, int64, bool or str objects) as a tensor of the protocol; NaN becomes null."""
    datatype = {"f": "FP64", "i": "INT64", "b": "BOOL"}.get(column.dtype.kind, "BYTES")
    return {"name": name, "datatype": datatype, "shape": [len(column)], "data": column.tolist()}


def _lone(one: Any) -> Tensor | None:
    """One number, as most requests have it: what `_read` would make of it at a third of the cost; None: ask that."""
    try:
        shape, data = one["shape"], one["data"]
        usual = one["datatype"] == "FP64" and len(one) == 4 and shape == [1] and type(shape[0]) is int
        if usual and type(data) is list and len(data) == 1 and type(data[0]) is float and type(one["name"]) is str:
            return Tensor(one["name"], "FP64", np.array(data))
    except (KeyError, TypeError, IndexError):
        pass
    return None


def _read(one: Any, place: int, max_values: int) -> Tensor:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise bad_request("bad-tensor", f"inputs[{place}] must be an object with a name, a datatype, a shape and data.")
    name, datatype = one["name"], one.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise bad_request(
            "bad-datatype", f"Input '{name}' has the datatype {datatype!r}.", f"One of {list(DATATYPES)}."
        )
    parameters = one.get("parameters")
    if isinstance(parameters, dict) and "binary_data_size" in parameters:
        fix = "Send the header Inference-Header-Content-Length, or JSON data."
        raise bad_request("binary-data", f"Input '{name}' comes as binary data, and no header tells where.", fix)
    shape, count = _shape(name, one.get("shape"), max_values)
    data = one.get("data")
    if isinstance(data, np.ndarray):  # from the binary extension, of the datatype already
        return Tensor(name, datatype, _shaped(name, data, shape, count))
    if not isinstance(data, list):
        raise bad_request("bad-data", f"Input '{name}' has no list as data.")
    flat = _flat(name, data, shape) if data and isinstance(data[0], list) else data
    if len(flat) != count:
        raise bad_request(
            "bad-shape", f"Input '{name}' has {len(flat)} values and the shape {shape}, which is {count}."
        )
    array = _array(name, datatype, flat)
    return Tensor(name, datatype, array if len(shape) == 1 else array.reshape(shape))


def _shaped(name: str, array: np.ndarray, shape: list[int], count: int) -> np.ndarray:
    if len(array) != count:
        detail = f"Input '{name}' has {len(array)} values and the shape {shape}, which is {count}."
        raise bad_request("bad-shape", detail)
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise bad_request("out-of-range", f"Input '{name}' holds an infinite number.")
    return array.reshape(shape)


def _shape(name: str, shape: Any, max_values: int) -> tuple[list[int], int]:
    """The shape and the number of values in it."""
    if shape == [1] and type(shape[0]) is int:  # one row, the most frequent
        return shape, 1
    if not isinstance(shape, list) or not 0 < len(shape) <= MAX_RANK or any(type(size) is not int for size in shape):
        raise bad_request("bad-shape", f"Input '{name}' has the shape {shape!r:.100}, not a list of whole numbers.")
    count = 1
    for size in shape:
        if size <= 0:
            raise bad_request("bad-shape", f"Input '{name}' has the shape {shape}; every size must be above 0.")
        count *= size
    if count > max_values:
        detail = f"Input '{name}' has {count} values, more than {max_values}."
        raise Problem(413, "tensor-too-large", detail, "Send it in several requests.", limit=max_values)
    return shape, count


def _flat(name: str, data: list[Any], shape: list[int]) -> list[Any]:
    """Nested data row by row; each level must have the size that the shape says."""
    for size in shape[1:]:
        if any(not isinstance(part, list) or len(part) != size for part in data):
            raise bad_request("bad-shape", f"Input '{name}' has nested data that do not fit the shape {shape}.")
        data = [value for part in data for value in part]
    return data


def _array(name: str, datatype: str, flat: list[Any]) -> np.ndarray:
    takes, words = _TAKES[datatype]
    types = set(map(type, flat))
    if not types <= takes:
        odd = next(value for value in flat if type(value) not in takes)
        raise bad_request("bad-data", f"Input '{name}' is {datatype}, which takes {words}, and holds {odd!r:.50}.")
    if _NULL in types:
        flat = [np.nan if value is None else value for value in flat]
    try:
        return _narrow(flat, datatype) if datatype in _NARROW else np.array(flat, DATATYPES[datatype])
    except OverflowError as error:
        raise bad_request("out-of-range", f"Input '{name}' holds a value outside {datatype}.") from error


def _narrow(flat: list[Any], datatype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        array = np.array(flat, DATATYPES[datatype])
    if np.isinf(array).any():
        raise OverflowError
    return array
