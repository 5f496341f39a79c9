"""What a model does with several rows at once, tried when it is loaded."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from services.deployer.serving.batching import Answering, split
from services.deployer.serving.frames import Columns
from shared.events.registry import Signature
from shared.models import ModelFailed, Unservable

TRIED = {
    "double": (0.0, 1.0, -2.5),
    "long": (0, 1, 2),
    "boolean": (False, True, True),
    "string": ("", "a", "b"),
}
"""Three rows: what they mean does not matter, but whether they get the same answers together as one by one."""

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""Within these a sum in another order is the same (float32 has 7 digits)."""


@dataclass(frozen=True, slots=True)
class Tried:
    """`together`: rows do not depend on their neighbours; `seconds`: of the fastest run of one row."""

    together: bool
    seconds: float


def tried(model: Answering, signature: Signature) -> Tried:
    """Ask the model three rows, one by one and together. A model that takes one row only, or fails on such rows, or
    whose rows depend on each other, is asked row by row."""
    rows = [[TRIED[one.type][at] for one in signature.inputs] for at in range(3)]
    best = float("inf")
    alone: list[Columns] = []
    try:
        for row in rows:
            started = perf_counter()
            alone.append(model.answer_rows([row]))
            best = min(best, perf_counter() - started)
        parts = split(model.answer_rows(rows), [1] * len(rows))
    except (ModelFailed, Unservable):
        return Tried(False, 0.0 if best == float("inf") else best)
    return Tried(all(_same(one, other) for one, other in zip(alone, parts, strict=True)), best)


def _same(one: Columns, other: Columns) -> bool:
    return all(_equal(column, other[name]) for name, column in one.items())


def _equal(one: Any, other: Any) -> bool:
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, RELATIVE, ABSOLUTE, equal_nan=True))
    return bool((one == other).all())
