"""Rows as columns by the model's signature: what is asked, and what is logged."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np

from services.deployer.serving.refusals import bad_request
from services.deployer.serving.tensors import Tensor
from shared.events.registry import Field, Signature
from shared.models.frames import DTYPES, Columns, Frame
from shared.runtime.problems import Problem

__all__ = ["DTYPES", "Columns", "Frame", "frame_of", "known_inputs", "spread"]

_LIMIT = 2.0**63
_OWN_KIND = {"double": "f", "long": "i", "boolean": "b", "string": "O"}


def spread(tensors: Sequence[Tensor], names: Sequence[str], max_rows: int) -> tuple[int, dict[str, Tensor]]:
    """(n, tensors [n] by input name). Takes one tensor [n] or [n, 1] per input, or one [n, k] with the k inputs as its
    columns, in the signature's order and under any name. Raises Problem 400, 413."""
    first = tensors[0]
    if len(tensors) == 1 and first.array.ndim == 2 and first.array.shape[1] > 1:
        if first.array.shape[1] != len(names):
            found = f"'{first.name}' has {first.array.shape[1]} columns and the model {len(names)} inputs"
            raise bad_request("bad-shape", f"{found}: {', '.join(names)}.")
        named = {name: Tensor(name, first.datatype, first.array[:, at]) for at, name in enumerate(names)}
    else:
        named = {one.name: _column(one) for one in tensors}
    rows = len(next(iter(named.values())).array)
    if {len(one.array) for one in named.values()} != {rows}:
        counts = {name: len(one.array) for name, one in named.items()}
        raise bad_request("bad-shape", f"Inputs differ in their number of rows: {counts}.")
    if rows > max_rows:
        detail = f"{rows} rows are more than {max_rows}."
        raise Problem(413, "too-many-rows", detail, "Send them in several requests.", limit=max_rows)
    return rows, named


def known_inputs(named: Iterable[str], known: Sequence[str]) -> None:
    """Raise Problem 400 where an input is given that no version of the deployment has."""
    unknown = [name for name in named if name not in known]
    if unknown and not known:
        detail = "The signature of this version names no inputs, so none can be given."
        raise bad_request("no-inputs", detail, "Register a version whose signature has the model's inputs.")
    if unknown:
        nearby = get_close_matches(unknown[0], known, n=5, cutoff=0.4) or list(known)[:5]
        detail = f"The model has no input {', '.join(f'{name!r:.60}' for name in unknown[:5])}."
        raise bad_request("unknown-input", detail, f"Did you mean {', '.join(nearby)}?", nearby=nearby)


def frame_of(rows: int, named: dict[str, Tensor], signature: Signature) -> Frame:
    """The rows as this signature wants them. Raises Problem 400 on missing inputs and on types that would lose value.

    An input that is not required and not given is NaN (double) or empty (string); NaN itself is allowed for double.
    """
    missing = [one.name for one in signature.inputs if one.name not in named and not _fillable(one)]
    if missing:
        raise bad_request("missing-input", f"Input {', '.join(map(repr, missing))} is missing.", missing=missing)
    return Frame(rows, {one.name: _typed(one, named.get(one.name), rows) for one in signature.inputs})


def _column(one: Tensor) -> Tensor:
    if one.array.ndim == 1:
        return one
    if one.array.ndim == 2 and one.array.shape[1] == 1:
        return Tensor(one.name, one.datatype, one.array[:, 0])
    raise bad_request("bad-shape", f"Input '{one.name}' has the shape {list(one.array.shape)}, not [n] or [n, 1].")


def _fillable(field: Field) -> bool:
    return not field.required and field.type in ("double", "string")


def _typed(field: Field, tensor: Tensor | None, rows: int) -> np.ndarray:
    dtype = DTYPES[field.type]
    if tensor is None:
        return np.full(rows, np.nan if field.type == "double" else "", dtype)
    array, kind = tensor.array, tensor.array.dtype.kind
    if kind == _OWN_KIND[field.type]:
        return array.astype(dtype, copy=False)
    if field.type == "double" and kind in "iu":
        return array.astype(dtype)
    if field.type == "long" and kind in "uf":
        # whole numbers often come as FP64, since that is what data frames make of them beside a missing value
        if kind == "u" and (array < _LIMIT).all():
            return array.astype(dtype)
        if kind == "f" and ((array == np.floor(array)) & (np.abs(array) < _LIMIT)).all():
            return array.astype(dtype)
    detail = f"Input '{field.name}' is {field.type}; {tensor.datatype} with these values does not fit."
    raise bad_request("bad-datatype", detail)
