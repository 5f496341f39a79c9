"""What the explaining process is asked: a row and a background in the signature's types, and which output."""

import hashlib
import math
from typing import Any

import numpy as np

from services.monitor.facts import Version
from shared.events.registry import Field
from shared.models.frames import DTYPES, Columns
from shared.runtime.problems import Problem

_FIX = "An explanation asks the model as it was served: it needs its ONNX artifact and a reference of the version."


def not_explainable(reason: str) -> Problem:
    """409: the reason, and what an explanation needs."""
    return Problem(409, "not-explainable", f"This prediction cannot be explained: {reason}.", _FIX)


def output_of(version: Version, output: str | None) -> str:
    """The output asked for, or the first that is a number."""
    names = [one.name for one in version.signature.outputs if one.type in ("double", "long", "boolean")]
    if output is None and version.scores:
        return version.scores[0]
    if output is None or output not in names:
        detail = (
            f"The model has no output '{output}' that is a number." if output else "The model has no number output."
        )
        raise Problem(422, "unknown-output", detail, f"One of {', '.join(names)}." if names else "", outputs=names)
    return output


def background_of(version: Version, sample: dict[str, list[Any]], most: int) -> Columns:
    """Evenly spaced rows of the sample, `most` of them, among those that the signature's types can hold."""
    inputs = version.signature.inputs
    length = len(sample[inputs[0].name])
    strict = [one.name for one in inputs if one.type in ("long", "boolean")]
    whole = [row for row in range(length) if all(sample[name][row] is not None for name in strict)]
    chosen = [whole[place * len(whole) // most] for place in range(most)] if len(whole) > most else whole
    if not chosen:
        raise not_explainable(f"no row of the reference of version {version.version} is complete")
    return columns_of(inputs, {name: [values[row] for row in chosen] for name, values in sample.items()}, len(chosen))


def columns_of(inputs: tuple[Field, ...], values: dict[str, list[Any]], rows: int) -> Columns:
    """Values as the model takes them; missing ones as NaN or an empty text, as serving takes them."""
    columns: Columns = {}
    for one in inputs:
        given = values.get(one.name, [None] * rows)
        if one.type in ("long", "boolean") and None in given:
            raise not_explainable(f"input '{one.name}' is {one.type} and has no value in this prediction")
        fill: Any = math.nan if one.type == "double" else ""
        try:
            columns[one.name] = np.array([fill if value is None else value for value in given], DTYPES[one.type])
        except (ValueError, TypeError, OverflowError) as error:
            raise not_explainable(f"input '{one.name}' does not fit its type {one.type}: {error}") from error
    return columns


def seed_of(prediction_id: str) -> int:
    """The same for the same prediction, so that its explanation is too."""
    return int.from_bytes(hashlib.sha256(prediction_id.encode()).digest()[:4], "big")
