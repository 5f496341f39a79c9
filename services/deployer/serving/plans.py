"""What a lone row needs of a deployment, worked out once for each state of it: most requests are such rows, and looking
at them tensor by tensor, array by array costs several times what the model does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from services.deployer.domain import State, bucket_of
from services.deployer.serving.records import Shape
from shared.events.registry import Field, Signature
from shared.models.frames import DTYPES, Frame
from shared.runtime.predictions import Target

_KINDS = {"double": "f", "long": "i", "boolean": "b", "string": "O"}
_DATATYPES = {"double": "FP64", "long": "INT64", "boolean": "BOOL", "string": "BYTES"}
_DTYPES = {_DATATYPES[kind]: dtype for kind, dtype in DTYPES.items()}
_TYPES = {"double": float, "long": int, "boolean": bool, "string": str}
_MISSING = object()
_LONG = 2**63


class _Input(NamedTuple):
    place: int
    datatype: str
    type: type


@dataclass(frozen=True, slots=True)
class Plan:
    """For deployments whose versions that share the traffic run here, take the same inputs and have named outputs, and
    whose shadows take these inputs, too.

    `shapes`: by version, how its predictions are logged. `sticky`: None where rows fall by chance, else the place of
    the input that they fall by, or -1 for their entity. Inputs that need not be given have `blank` values;
    `longs` are the places of whole numbers.
    """

    state: State
    shapes: dict[int, Shape]
    inputs: dict[str, _Input]
    longs: tuple[int, ...]
    blank: tuple[Any, ...]
    sticky: int | None

    def values(self, tensors: Any) -> list[Any] | None:
        """The values of one row in the signature's order, each in its type; None where that is not all there is to say:
        then the tensors have to be read one by one, and refused where they are at fault."""
        if type(tensors) is not list:
            return None
        values: list[Any] = [_MISSING] * len(self.blank)
        inputs = self.inputs
        try:
            for one in tensors:
                place, datatype, kind = inputs[one["name"]]
                shape, data = one["shape"], one["data"]
                if len(one) != 4 or one["datatype"] != datatype or shape != [1] or type(shape[0]) is not int:
                    return None
                if type(data) is not list or len(data) != 1 or values[place] is not _MISSING:
                    return None
                value = data[0]
                if type(value) is not kind and (value := _meant(value, kind)) is None:
                    return None
                values[place] = value
        except (KeyError, TypeError, OverflowError):
            return None
        if len(tensors) < len(values):
            values = [blank if one is _MISSING else one for one, blank in zip(values, self.blank, strict=True)]
            if _MISSING in values:
                return None
        return None if any(not -_LONG <= values[place] < _LONG for place in self.longs) else values

    def version(self, values: Sequence[Any], entity: str | None, seed: str) -> int:
        """The version that answers."""
        buckets = self.state.buckets
        if buckets is None:
            return self.state.traffic.champion
        key = None if self.sticky is None else entity if self.sticky < 0 else str(values[self.sticky])
        return int(buckets[bucket_of(self.state.deployment, f"{seed}:0" if key is None else key)])

    def frame(self, values: Sequence[Any]) -> Frame:
        """The row as a version is asked it that is no part of a batch: a shadow."""
        typed = zip(self.inputs.items(), values, strict=True)
        return Frame(1, {name: np.array([value], _DTYPES[one.datatype]) for (name, one), value in typed})


def plan_of(state: State, sharing: Sequence[int], signatures: dict[int, tuple[Target, Signature]]) -> Plan | None:
    """The plan of a deployment, if it can have one."""
    if state.retired or state.runtime.kind != "onnx":
        return None
    shadows = state.traffic.shadows
    if any(version not in signatures for version in (*sharing, *shadows)):
        return None
    served = {version: signatures[version] for version in sharing}
    inputs = served[sharing[0]][1].inputs
    if not inputs or any(one.inputs != inputs or not one.outputs or one.about for _, one in served.values()):
        return None
    if any(signatures[one][1].inputs != inputs or signatures[one][1].about for one in shadows):
        return None
    names = [one.name for one in inputs]
    by = state.traffic.sticky_by
    sticky = names.index(by) if by in names else None if by is None else -1
    shapes = {version: _shape(target, signature) for version, (target, signature) in served.items()}
    known = {one.name: _Input(at, _DATATYPES[one.type], _TYPES[one.type]) for at, one in enumerate(inputs)}
    longs = tuple(at for at, one in enumerate(inputs) if one.type == "long")
    return Plan(state, shapes, known, longs, tuple(_blank(one) for one in inputs), sticky)


def _meant(value: Any, kind: type) -> Any:
    """A number that JSON writes otherwise: NaN as null, a double without a fraction as a whole number."""
    if kind is float and value is None:
        return float("nan")
    return float(value) if kind is float and type(value) is int else None


def _blank(field: Field) -> Any:
    if field.required or field.type not in ("double", "string"):
        return _MISSING
    return float("nan") if field.type == "double" else ""


def _shape(target: Target, signature: Signature) -> Shape:
    features, outputs = (
        tuple((one.name, _KINDS[one.type]) for one in fields) for fields in (signature.inputs, signature.outputs)
    )
    return Shape(target, features, outputs)
