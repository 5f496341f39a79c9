"""What a model answered, as the columns that its signature promises."""

# pyright: basic

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.events.registry import Field, Signature
from shared.models import Unservable
from shared.models.frames import DTYPES, Columns

_KINDS = {"double": "f", "long": "iu", "boolean": "b", "string": "OU"}


Output = np.ndarray | list[dict[Any, float]]
"""[rows] or [rows, k]; or a map per row, a number for each class, as the ZipMap of scikit-learn's converters has it."""


def output_columns(names: Sequence[str], arrays: Sequence[Output], rows: int, signature: Signature) -> Columns:
    """Each output of the signature as a column [rows]. Raises Unservable where the model's outputs do not fit.

    1. A model output of the same name is taken, or a map's class of that name; a matrix gives its last column. 2.
    Outputs still without one take the model's remaining outputs of their type, in order: one of k columns serves k
    signature outputs in turn, or else a single one with its last column (of the two columns of a binary classifier,
    P(class 1)); a map has a column per class, in the order of the classes. 3. What the signature does not name is left
    out. A signature without outputs gets every output under the model's own names.
    """
    given = dict(zip(names, arrays, strict=True))
    matrices = {name: _matrix(name, array, rows) for name, array in given.items()}
    classes = {name: list(map(str, array[0])) for name, array in given.items() if isinstance(array, list) and array}
    if not signature.outputs:
        own = [_own(name, matrix, classes.get(name)) for name, matrix in matrices.items()]
        return {name: column for columns in own for name, column in columns.items()}
    found = {one.name: matrices[one.name][:, -1] for one in signature.outputs if one.name in matrices}
    rest = {name: matrix for name, matrix in matrices.items() if name not in found}
    for name, keys in classes.items():
        told = [one.name for one in signature.outputs if one.name in keys and one.name not in found]
        if told:
            matrix = rest.pop(name, matrices[name])
            found |= {key: matrix[:, keys.index(key)] for key in told}
    unnamed = [one for one in signature.outputs if one.name not in found]
    for kind in dict.fromkeys(one.type for one in unnamed):
        found |= _by_type([one for one in unnamed if one.type == kind], rest)
    return {one.name: _typed(one, found[one.name]) for one in signature.outputs}


def _by_type(fields: list[Field], rest: dict[str, np.ndarray]) -> Columns:
    candidates = [(name, matrix) for name, matrix in rest.items() if matrix.dtype.kind in _KINDS[fields[0].type]]
    found: Columns = {}
    waiting = list(fields)
    for name, matrix in candidates:
        if not waiting:
            break
        taken = waiting[: matrix.shape[1]] if matrix.shape[1] <= len(waiting) else waiting[:1]
        first = matrix.shape[1] - len(taken) if len(taken) == 1 else 0
        found |= {field.name: matrix[:, first + at] for at, field in enumerate(taken)}
        waiting = waiting[len(taken) :]
        del rest[name]
    if waiting:
        names = ", ".join(repr(field.name) for field in waiting)
        raise Unservable(f"the model has no output of type {waiting[0].type} for {names} of the signature")
    return found


def _matrix(name: str, array: Output, rows: int) -> np.ndarray:
    """[rows, k]."""
    if isinstance(array, list):
        array = np.array([list(row.values()) for row in array], np.float32)
    if array.shape == () and rows == 1:
        array = array.reshape(1)
    if array.ndim not in (1, 2) or array.shape[0] != rows or 0 in array.shape:
        raise Unservable(f"output '{name}' has the shape {list(array.shape)} for {rows} rows")
    return array.reshape(rows, -1)


def _own(name: str, matrix: np.ndarray, classes: Sequence[str] | None) -> Columns:
    kinds = {"f": "double", "i": "long", "u": "long", "b": "boolean"}
    field = Field(name=name, type=kinds.get(matrix.dtype.kind, "string"))  # type: ignore[arg-type]
    if classes is None and matrix.shape[1] == 1:
        return {name: _typed(field, matrix[:, 0])}
    told = classes or range(matrix.shape[1])
    return {f"{name}_{one}": _typed(field, matrix[:, at]) for at, one in enumerate(told)}


def _typed(field: Field, column: np.ndarray) -> np.ndarray:
    """The column in the signature's type; what a classifier calls its label may be whole numbers where the signature
    says double or boolean."""
    kind = column.dtype.kind
    if field.type == "string":
        return np.array([str(value) for value in column], np.object_)
    if kind in "OU" or (field.type == "long" and kind == "f"):
        raise Unservable(f"output '{field.name}' is {field.type} in the signature and {column.dtype} in the model")
    return column.astype(DTYPES[field.type])
