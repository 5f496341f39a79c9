"""An ONNX session bound to a signature."""

# pyright: basic

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np
import onnxruntime

from shared.events.registry import Artifact, Field, Signature
from shared.models import ModelFailed, Unservable
from shared.models.artifacts import verified
from shared.models.frames import DTYPES, Columns, Frame
from shared.models.outputs import Output, output_columns

_TYPES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "tensor(float)": (np.float32, ("double", "long", "boolean")),
    "tensor(double)": (np.float64, ("double", "long", "boolean")),
    "tensor(float16)": (np.float16, ("double", "long", "boolean")),
    **{
        f"tensor({kind}{bits})": (np.dtype(f"{kind}{bits}").type, ("long", "boolean"))
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
    "tensor(bool)": (np.bool_, ("boolean",)),
    "tensor(string)": (np.object_, ("string",)),
}


_ANY = (np.float16, np.float32, np.float64, np.int64, np.bool_, np.object_)
"""Dtypes that take each value of the features' types (of float, to its precision)."""

_LONG = 2**63 - 1
_MAPS = ("seq(map(int64,tensor(float", "seq(map(string,tensor(float")
"""What the ZipMap of scikit-learn's converters makes of a classifier's probabilities."""


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of the graph: its name, dtype, and the features that are its columns; `flat`: it takes [n]."""

    name: str
    dtype: Any
    features: tuple[str, ...]
    flat: bool


class Model:
    """A session bound to a signature. Raises Unservable where the two do not fit."""

    def __init__(self, data: bytes, signature: Signature) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a class of its own per status
            raise Unservable(f"the artifact is no ONNX model that runs here: {error}") from error
        self._signature = signature
        self._inputs = _bind(self._session.get_inputs(), signature)
        self._matrix = _matrix(self._inputs, signature)
        outputs = self._session.get_outputs()
        odd = [f"{one.name} ({one.type})" for one in outputs if not one.type.startswith(("tensor(", *_MAPS))]
        if odd:
            raise Unservable(f"outputs {', '.join(odd)} are neither tensors nor maps with a number per class")
        self._outputs = [one.name for one in outputs]

    def answer(self, frame: Frame) -> Columns:
        """The outputs of these rows. Raises Unservable, ModelFailed; for any number of threads."""
        with np.errstate(over="ignore"):
            feed = {one.name: _feed(one, frame) for one in self._inputs}
        return self._run(feed, frame.rows)

    def answer_rows(self, rows: Sequence[Sequence[Any]]) -> Columns:
        """As `answer`, for rows of plain values in the signature's order; None is a double that is missing."""
        if self._matrix is None:
            return self.answer(frame_of_rows(rows, self._signature))
        with np.errstate(over="ignore"):
            feed = {self._matrix.name: np.array(rows, self._matrix.dtype)}
        return self._run(feed, len(rows))

    def _run(self, feed: dict[str, np.ndarray], rows: int) -> Columns:
        try:
            answers = self._session.run(self._outputs, feed)
        except Exception as error:
            raise ModelFailed(f"The model fails on this input: {error}") from error
        return output_columns(self._outputs, cast("list[Output]", answers), rows, self._signature)


def frame_of_rows(rows: Sequence[Sequence[Any]], signature: Signature) -> Frame:
    """Rows of plain values in the signature's order as columns."""
    columns = zip(signature.inputs, zip(*rows, strict=True), strict=True)
    return Frame(len(rows), {one.name: np.array(values, DTYPES[one.type]) for one, values in columns})


def _matrix(inputs: list[_Input], signature: Signature) -> _Input | None:
    """The one input that takes all features as they are, where they are numbers of one kind."""
    names = tuple(one.name for one in signature.inputs)
    plain = len(inputs) == 1 and not inputs[0].flat and inputs[0].features == names
    return inputs[0] if plain and all(one.type == "double" for one in signature.inputs) else None


def _feed(one: _Input, frame: Frame) -> np.ndarray:
    if one.dtype not in _ANY:
        _within(one, frame)
    if len(one.features) == 1:
        column = frame.columns[one.features[0]].astype(one.dtype)
        return column if one.flat else column.reshape(-1, 1)
    if frame.rows == 1:  # column by column costs a lone row more than the model
        row = np.concatenate([frame.columns[name] for name in one.features], dtype=one.dtype, casting="unsafe")
        return row.reshape(1, -1)
    matrix = np.empty((frame.rows, len(one.features)), one.dtype)
    for at, name in enumerate(one.features):
        matrix[:, at] = frame.columns[name]
    return matrix


def _within(one: _Input, frame: Frame) -> None:
    """Raise ModelFailed where a whole number would become another one in the model's type."""
    limits = np.iinfo(one.dtype)
    for name in one.features:
        column = frame.columns[name]
        if column.dtype.kind == "i" and ((column < limits.min) | (column > min(limits.max, _LONG))).any():
            raise ModelFailed(f"Input '{name}' holds a value outside {limits.dtype}, which the model takes.")


def _bind(inputs: Any, signature: Signature) -> list[_Input]:
    """An input of the graph per feature, by name; or, where their names are not those of features, inputs that take all
    features as their columns, in the signature's order."""
    fields = {one.name: one for one in signature.inputs}
    unnamed = [one.name for one in inputs if one.name not in fields]
    if not unnamed:
        wide = [f"{one.name} {one.shape}" for one in inputs if _width(one.shape) not in (None, 1)]
        if wide:
            raise Unservable(f"the model's inputs {', '.join(wide)} take more than the one feature of that name")
        return [_input(one, [fields[one.name]]) for one in inputs]
    shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
    if not fields or len(unnamed) < len(inputs):
        raise Unservable(f"the model's inputs {unnamed} are not in the signature ({', '.join(fields) or 'no inputs'})")
    widths = [_width(one.shape) for one in inputs]
    if len(inputs) == 1 and widths[0] is None:
        widths = [len(fields)]
    if None in widths or sum(cast("list[int]", widths)) != len(fields):
        raise Unservable(f"the model takes {shapes} and the signature has {len(fields)} inputs")
    left = iter(fields.values())
    return [_input(one, list(islice(left, width))) for one, width in zip(inputs, widths, strict=True)]


def _width(shape: Any) -> int | None:
    """How many features such an input takes; None where the graph does not say, 0 where it takes other things."""
    if len(shape) == 1:
        return 1
    return 0 if len(shape) != 2 else shape[1] if isinstance(shape[1], int) else None


def _input(one: Any, fields: list[Field]) -> _Input:
    dtype, takes = _TYPES.get(one.type, (None, ()))
    odd = [f"{field.name} ({field.type})" for field in fields if field.type not in takes]
    if odd:
        raise Unservable(f"the model's input '{one.name}' is {one.type}, which cannot take {', '.join(odd)}")
    return _Input(one.name, dtype, tuple(field.name for field in fields), len(one.shape) == 1)


def loaded(artifact: Artifact, signature: Signature, max_bytes: int) -> Model:
    """The model of a registered artifact. Raises Unservable where its bytes are others than those registered."""
    return Model(verified(artifact, max_bytes), signature)
