"""The floor of inference: FastAPI runs the same onnxruntime session on one row, checks nothing and logs nothing."""

import sys

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

from shared.runtime.settings import Settings


def app(path: str) -> FastAPI:
    """An endpoint that reads the tensors of the protocol's JSON form."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    bare = FastAPI()

    @bare.post("/v2/models/bench/infer")
    async def infer(request: Request) -> Response:
        body = orjson.loads(await request.body())
        row = np.array([[tensor["data"][0] for tensor in body["inputs"]]], np.float32)
        found = session.run(None, {name: row})[0]
        output = {"name": "probability", "datatype": "FP64", "shape": [1], "data": found[:, 0].tolist()}
        return Response(orjson.dumps({"model_name": "bench", "outputs": [output]}), media_type="application/json")

    return bare


if __name__ == "__main__":
    given = Settings()
    uvicorn.run(
        app(sys.argv[1]), host=given.host, port=given.port, access_log=False, log_level="warning", server_header=False
    )
