"""An artifact in a bucket of S3 is read, and checked against its digest, as a file is."""

import asyncio
import hashlib

import pytest
import uvicorn

from shared.events.registry import Artifact
from shared.models import Unservable
from shared.models.artifacts import Altered, verified
from tests.component.test_registry_reference import bucket, cloud  # noqa: F401 (a fixture)


@pytest.mark.usefixtures("cloud")
async def test_an_artifact_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"an onnx model"
    server = uvicorn.Server(uvicorn.Config(bucket({"m/1.onnx": data}), port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 (the server has no event to wait for)
            await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    artifact = Artifact(uri="s3://data/m/1.onnx", sha256=hashlib.sha256(data).hexdigest())
    assert await asyncio.to_thread(verified, artifact, 100) == data
    with pytest.raises(Altered):
        await asyncio.to_thread(verified, artifact.model_copy(update={"sha256": "0" * 64}), 100)
    for wrong, most in (("s3://data/m/2.onnx", 100), (artifact.uri, 5), ("s3://key:secret@data/m/1.onnx", 100)):
        with pytest.raises(Unservable):
            await asyncio.to_thread(verified, artifact.model_copy(update={"uri": wrong}), most)
    server.should_exit = True
    await serving
