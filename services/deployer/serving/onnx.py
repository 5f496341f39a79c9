"""ONNX models in process: loaded once their bytes match the registered digest, and kept while they are in use."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import numpy as np
import onnxruntime
import structlog

from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.outputs import output_columns
from services.deployer.serving.refusals import Unservable, bad_request
from shared.events.registry import Artifact, Field, Signature
from shared.runtime.settings import Settings

logger = structlog.get_logger()

RETRY_SECONDS = 5.0
THREAD_VALUES = 5_000
"""Requests of more input values run in a thread, so that others are answered meanwhile; below, the change of threads
costs more than the model."""

_TYPES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "tensor(float)": (np.float32, ("double", "long", "boolean")),
    "tensor(double)": (np.float64, ("double", "long", "boolean")),
    "tensor(float16)": (np.float16, ("double", "long", "boolean")),
    "tensor(int64)": (np.int64, ("long", "boolean")),
    "tensor(int32)": (np.int32, ("long", "boolean")),
    "tensor(bool)": (np.bool_, ("boolean",)),
    "tensor(string)": (np.object_, ("string",)),
}


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of the graph: its name, dtype, and the features that are its columns; `flat`: it takes [n]."""

    name: str
    dtype: Any
    features: tuple[str, ...]
    flat: bool


class OnnxModel:
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
        outputs = self._session.get_outputs()
        odd = [one.name for one in outputs if not one.type.startswith("tensor(")]
        if odd:
            raise Unservable(f"outputs {odd} are no tensors (convert the model with zipmap off)")
        self._outputs = [one.name for one in outputs]

    async def run(self, frame: Frame) -> Columns:
        """The outputs of these rows. Raises Unservable, Problem 400 where the model fails on the input."""
        if frame.rows * len(frame.columns) > THREAD_VALUES:
            return await asyncio.to_thread(self._run, frame)
        return self._run(frame)

    def _run(self, frame: Frame) -> Columns:
        with np.errstate(over="ignore"):
            feed = {one.name: _feed(one, frame) for one in self._inputs}
        try:
            answers = self._session.run(self._outputs, feed)
        except Exception as error:
            raise bad_request("model-failed", f"The model fails on this input: {error}") from error
        return output_columns(self._outputs, cast("list[np.ndarray]", answers), frame.rows, self._signature)


def _feed(one: _Input, frame: Frame) -> np.ndarray:
    if len(one.features) == 1:
        column = frame.columns[one.features[0]].astype(one.dtype)
        return column if one.flat else column.reshape(-1, 1)
    matrix = np.empty((frame.rows, len(one.features)), one.dtype)
    for at, name in enumerate(one.features):
        matrix[:, at] = frame.columns[name]
    return matrix


def _bind(inputs: Any, signature: Signature) -> list[_Input]:
    """Either an input of the graph per feature, by name, or one input that takes all of them as its columns."""
    fields = {one.name: one for one in signature.inputs}
    if len(inputs) == 1 and inputs[0].name not in fields and fields:
        shape = inputs[0].shape
        width = shape[1] if len(shape) == 2 else 1 if len(shape) == 1 else 0
        if isinstance(width, int) and width != len(fields):
            raise Unservable(f"the model takes the shape {shape} and the signature has {len(fields)} inputs")
        return [_input(inputs[0], list(fields.values()))]
    unnamed = [one.name for one in inputs if one.name not in fields]
    if unnamed:
        raise Unservable(f"the model's inputs {unnamed} are not in the signature ({', '.join(fields) or 'no inputs'})")
    return [_input(one, [fields[one.name]]) for one in inputs]


def _input(one: Any, fields: list[Field]) -> _Input:
    dtype, takes = _TYPES.get(one.type, (None, ()))
    odd = [f"{field.name} ({field.type})" for field in fields if field.type not in takes]
    if odd:
        raise Unservable(f"the model's input '{one.name}' is {one.type}, which cannot take {', '.join(odd)}")
    return _Input(one.name, dtype, tuple(field.name for field in fields), len(one.shape) == 1)


class OnnxModels:
    """At most `settings.max_sessions` loaded models; the least recently used go first. A failed load is tried again
    after RETRY_SECONDS, so that an artifact put in its place later is found."""

    def __init__(self, settings: Settings) -> None:
        self._limit, self._max_bytes = settings.max_sessions, settings.max_artifact_bytes
        self._models: OrderedDict[tuple[str, int], OnnxModel] = OrderedDict()
        self._loading: dict[tuple[str, int], asyncio.Task[OnnxModel]] = {}
        self._failed: dict[tuple[str, int], tuple[str, float]] = {}

    async def get(self, key: tuple[str, int], artifact: Artifact, signature: Signature) -> OnnxModel:
        """The model of a version, `key` being (model, version). Raises Unservable with the reason."""
        model = self._models.get(key)
        if model is not None:
            self._models.move_to_end(key)
            return model
        reason, until = self._failed.get(key, ("", 0.0))
        if monotonic() < until:
            raise Unservable(reason)
        if key not in self._loading:
            self._loading[key] = asyncio.create_task(self._load(key, artifact, signature))
        return await asyncio.shield(self._loading[key])

    async def _load(self, key: tuple[str, int], artifact: Artifact, signature: Signature) -> OnnxModel:
        try:
            model = await asyncio.to_thread(_loaded, artifact, signature, self._max_bytes)
        except Unservable as error:
            self._failed[key] = (str(error), monotonic() + RETRY_SECONDS)
            logger.warning("model not servable", model=key[0], version=key[1], reason=str(error))
            raise
        finally:
            del self._loading[key]
        self._failed.pop(key, None)
        self._models[key] = model
        while len(self._models) > self._limit:
            self._models.popitem(last=False)
        return model


def _loaded(artifact: Artifact, signature: Signature, max_bytes: int) -> OnnxModel:
    data = read_artifact(artifact.uri, max_bytes)
    digest = hashlib.sha256(data).hexdigest()
    if digest != artifact.sha256.lower():
        raise Unservable(f"the artifact at {artifact.uri} has SHA-256 {digest}, registered is {artifact.sha256}")
    return OnnxModel(data, signature)


def read_artifact(uri: str, max_bytes: int) -> bytes:
    """The bytes at a path or a `file:` URI. Raises Unservable."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise Unservable(f"artifacts are read from this machine's files only, not from {uri}")
    path = Path(unquote(parts.path) if parts.scheme else uri)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise Unservable(f"the artifact at {uri} has {size} bytes, more than {max_bytes}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Unservable(f"the artifact at {uri} cannot be read: {error}") from error
