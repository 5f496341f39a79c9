"""Rows as a remote server wants them: in the names, datatypes and shapes that its metadata tell."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from services.deployer.serving.frames import Frame
from services.deployer.serving.refusals import Unservable, bad_request
from services.deployer.serving.tensors import DATATYPES, write_tensor

Json = dict[str, Any]


class Told(NamedTuple):
    """An input by the server's metadata; a size of -1 is open."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def told_inputs(metadata: Any) -> tuple[Told, ...]:
    """The inputs that a model's metadata tell; none where they tell none, or nothing that could be followed."""
    listed = metadata.get("inputs") if isinstance(metadata, dict) else None
    try:
        found = [Told(one["name"], one["datatype"], tuple(one["shape"])) for one in listed or ()]
    except (KeyError, TypeError):
        return ()
    usable = all(one.datatype in DATATYPES and {type(size) for size in one.shape} <= {int} for one in found)
    return tuple(found) if usable else ()


def request_of(frame: Frame, told: Sequence[Told]) -> Json:
    """The body that asks for these rows. Where the server does not tell its inputs there is one tensor per feature, to
    be read as a table (`content_type: pd`, as MLServer and KServe have it): else they take the first one for all.
    Raises Unservable where inputs and features do not fit, Problem 400 where a value does not fit a datatype.
    """
    if not told:
        tensors = [write_tensor(name, column) for name, column in frame.columns.items()]
        return {"inputs": tensors, "parameters": {"content_type": "pd"}}
    unnamed = [one for one in told if one.name not in frame.columns]
    if not unnamed:
        return {"inputs": [_tensor(one, [one.name], frame) for one in told]}
    if len(unnamed) < len(told):
        raise Unservable(f"its server wants the input '{unnamed[0].name}', which the signature does not have")
    left = iter(frame.columns)
    return {"inputs": [_tensor(one, names, frame) for one, names in _shared(told, left, len(frame.columns))]}


def _shared(told: Sequence[Told], names: Iterable[str], count: int) -> list[tuple[Told, list[str]]]:
    """The features in the signature's order, as the columns of the server's inputs."""
    widths = [_width(one.shape) for one in told]
    if len(told) == 1 and widths[0] == -1:
        widths = [count]
    if min(widths) < 1 or sum(widths) != count:
        shapes = ", ".join(f"{one.name} {list(one.shape)}" for one in told)
        raise Unservable(f"its server wants {shapes}, and the signature has {count} inputs")
    left = iter(names)
    return [(one, list(islice(left, width))) for one, width in zip(told, widths, strict=True)]


def _width(shape: tuple[int, ...]) -> int:
    """How many features such an input takes: -1 is open, 0 none. `[k]` alone is a row of k, told without its number."""
    if shape in ((), (-1,)):
        return 1
    return shape[len(shape) - 1] if len(shape) <= 2 else 0


def _tensor(one: Told, names: Sequence[str], frame: Frame) -> Json:
    columns = [_typed(name, frame.columns[name], one.datatype) for name in names]
    flat = one.shape in ((), (-1,))
    array = columns[0] if len(columns) == 1 else np.column_stack(columns)
    shape = [frame.rows] if flat and len(columns) == 1 else [frame.rows, len(columns)]
    data = array.reshape(-1)
    data = data.tolist() if array.dtype.kind == "O" else np.ascontiguousarray(data)
    return {"name": one.name, "datatype": one.datatype, "shape": shape, "data": data}


def _typed(name: str, column: np.ndarray, datatype: str) -> np.ndarray:
    dtype = np.dtype(DATATYPES[datatype])
    if (column.dtype.kind == "O") != (dtype.kind == "O") or (dtype.kind == "b") != (column.dtype.kind == "b"):
        raise Unservable(f"its server takes '{name}' as {datatype}, which the signature's type is not")
    if dtype.kind in "iu" and column.dtype.kind in "fi":
        limits = np.iinfo(dtype)
        fits = (column >= limits.min) & (column <= limits.max) & (column == np.floor(column))
        if not fits.all():
            raise bad_request("out-of-range", f"Input '{name}' holds a value that is no {datatype}, which is wanted.")
    with np.errstate(over="ignore"):
        return column.astype(dtype, copy=False)
