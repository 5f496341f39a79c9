"""An artifact in a bucket of S3 is read, and checked against its digest, as a file is."""

import asyncio
import hashlib

import pytest

from shared.events.registry import Artifact
from shared.models import Unservable
from shared.models.artifacts import Altered, verified
from tests.component.bucket import serving


async def test_an_artifact_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"an onnx model"
    artifact = Artifact(uri="s3://data/m/1.onnx", sha256=hashlib.sha256(data).hexdigest())
    with serving({"m/1.onnx": data}, monkeypatch):
        assert await asyncio.to_thread(verified, artifact, 100) == data
        with pytest.raises(Altered):
            await asyncio.to_thread(verified, artifact.model_copy(update={"sha256": "0" * 64}), 100)
        for wrong, most in (("s3://data/m/2.onnx", 100), (artifact.uri, 5), ("s3://key:secret@data/m/1.onnx", 100)):
            with pytest.raises(Unservable):
                await asyncio.to_thread(verified, artifact.model_copy(update={"uri": wrong}), most)
