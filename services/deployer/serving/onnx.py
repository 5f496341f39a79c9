"""ONNX models in process: loaded once their bytes match the registered digest, and kept while they are in use."""

import asyncio
from collections import OrderedDict
from time import monotonic

import structlog

from services.deployer.serving.batching import Batching, Row, answered
from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.refusals import Unservable, bad_request
from services.deployer.serving.trying import tried
from shared.events.registry import Artifact, Signature
from shared.models import ModelFailed
from shared.models.artifacts import verified
from shared.models.onnx import Model
from shared.runtime.settings import Settings

logger = structlog.get_logger()

RETRY_SECONDS = 5.0
THREAD_VALUES = 5_000
"""Requests of more input values run in a thread, so that others are answered meanwhile; below, the change of threads
costs more than the model."""


class OnnxModel(Model):
    """A session bound to a signature, which answers requests together where its rows allow that. Raises Unservable
    where the two do not fit."""

    def __init__(self, data: bytes, signature: Signature, settings: Settings) -> None:
        super().__init__(data, signature)
        self.size = len(data)
        found = tried(self, signature)
        self._together, self._threaded = found.together, found.seconds > settings.inline_seconds
        self._batching = Batching(self, signature, settings, self._threaded)

    async def run(self, asked: Row | Frame) -> Columns:
        """The outputs of these rows. Raises Unservable, Problem 400 where the model fails on the input."""
        try:
            large = isinstance(asked, Frame) and asked.rows * len(asked.columns) > THREAD_VALUES
            if self._together and not large:
                return await self._batching.ask(asked)
            if large or self._threaded:
                return await asyncio.to_thread(answered, self, asked)
            return answered(self, asked)
        except ModelFailed as error:
            raise bad_request("model-failed", str(error)) from error


class OnnxModels:
    """At most `settings.max_sessions` loaded models, `settings.max_models_bytes` of them; the least recently used go
    first. A failed load is tried again after RETRY_SECONDS, so that an artifact put in its place later is found."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
            model = await asyncio.to_thread(_loaded, artifact, signature, self._settings)
        except Unservable as error:
            self._failed[key] = (str(error), monotonic() + RETRY_SECONDS)
            logger.warning("model not servable", model=key[0], version=key[1], reason=str(error))
            raise
        finally:
            del self._loading[key]
        self._failed.pop(key, None)
        self._models[key] = model
        while len(self._models) > 1 and self._too_many():
            self._models.popitem(last=False)
        return model

    def _too_many(self) -> bool:
        size = sum(model.size for model in self._models.values())
        return len(self._models) > self._settings.max_sessions or size > self._settings.max_models_bytes


def _loaded(artifact: Artifact, signature: Signature, settings: Settings) -> OnnxModel:
    most = min(settings.max_artifact_bytes, settings.max_models_bytes)
    return OnnxModel(verified(artifact, most), signature, settings)
