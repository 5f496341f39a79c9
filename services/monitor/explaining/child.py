"""The process that explains: `python -m services.monitor.explaining.child`, asked over its standard input.

A process of its own, since shap takes seconds to load and hundreds of megabytes, and since work that takes too long can
only be ended with its process. Messages are pickles behind their length, between parent and child alone.
"""

import contextlib
import os
import pickle
import struct
import sys
from collections import OrderedDict
from typing import Any, BinaryIO

from shared.events.registry import Artifact, Signature

MAX_MODELS = 8
NICE = 5
"""Predictions and figures come first, once this process is up."""

LENGTH = struct.Struct(">I")


def main() -> None:
    """Answer one request after another until the input ends."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # compiling takes longer than it saves
    from services.monitor.explaining import shapley  # noqa: F401  loaded before the first request counts its time

    os.nice(NICE)
    models: OrderedDict[str, Any] = OrderedDict()
    send(answers, {"ready": True})
    while (request := receive(questions)) is not None:
        try:
            answer = _answer(models, request)
        except Exception as error:  # whatever it is, the parent must learn of it
            answer = {"problem": type(error).__name__, "reason": str(error)}
        send(answers, answer)


def _answer(models: "OrderedDict[str, Any]", request: dict[str, Any]) -> dict[str, Any]:
    from services.monitor.explaining.shapley import explain

    model, output = _model(models, request), request["output"]
    found = explain(
        lambda frame: model.answer(frame)[output],
        request["row"],
        request["background"],
        request["seed"],
        request["evaluations"],
        request["seconds"],
    )
    return {"found": found}


def _model(models: "OrderedDict[str, Any]", request: dict[str, Any]) -> Any:
    from shared.models.onnx import loaded

    artifact = Artifact.model_validate(request["artifact"])
    key = f"{artifact.uri} {artifact.sha256} {request['key']}"
    if key not in models:
        models[key] = loaded(artifact, Signature.model_validate(request["signature"]), request["max_bytes"])
        while len(models) > MAX_MODELS:
            models.popitem(last=False)
    models.move_to_end(key)
    return models[key]


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """The next message; None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return pickle.loads(stream.read(LENGTH.unpack(head)[0]))  # noqa: S301  the parent's own words


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        main()
