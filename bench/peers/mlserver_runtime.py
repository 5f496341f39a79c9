"""The runtime that MLServer is given: the same onnxruntime session, read from the path in BENCH_ONNX."""

import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Bench(MLModel):
    """One row in, its probability out."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["BENCH_ONNX"], options, ["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        row = np.array([[one.data.root[0] for one in payload.inputs]], np.float32)
        found = self.session.run(None, {self.input: row})[0]
        output = ResponseOutput(name="probability", datatype="FP64", shape=[1], data=found[:, 0].tolist())
        return InferenceResponse(model_name=self.name, outputs=[output])
