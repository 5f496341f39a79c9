"""Which group each row of a batch belongs to, by its texts or by the bands of a number."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.monitor.domain.joined import Ints, kept_groups
from services.monitor.domain.plan import Grouping, Plan

OTHER = "\0"
"""Stands in codes for all groups beyond the limit; no text of a caller holds it."""

Slice = tuple[str, list[str], Ints]
"""(attribute, names of its groups, code of each row's group or -1)."""


def slices_of(batch: pa.RecordBatch, plan: Plan) -> list[Slice]:
    """Of every grouping that the batch has a column for."""
    found: list[Slice] = []
    for grouping in plan.groupings:
        if grouping.column not in batch.schema.names:
            continue
        column: Any = batch.column(grouping.column)
        named = _banded(column, grouping) if grouping.edges else _named(column)
        if named is not None:
            found.append((grouping.attribute, *_limited(*named, plan.limit)))
    return found


def _named(column: Any) -> tuple[list[str], Ints] | None:
    if pa.types.is_floating(column.type):
        return None  # a measured number has no names; its bands need edges
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    coded = column.dictionary_encode()
    return coded.dictionary.to_pylist(), pc.fill_null(coded.indices, -1).cast(pa.int64()).to_numpy().copy()


def _banded(column: Any, grouping: Grouping) -> tuple[list[str], Ints] | None:
    if not is_number(column.type):
        return None
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    codes = np.searchsorted(np.array(grouping.edges), values, side="right")
    return bands(grouping.edges), np.where(np.isnan(values), -1, codes)


def bands(edges: Sequence[float]) -> list[str]:
    """The names of the bands between edges: `<a`, `a..<b` (a included, b not), `>=b`."""
    first, last = f"<{edges[0]:g}", f">={edges[-1]:g}"
    return [first, *(f"{a:g}..<{b:g}" for a, b in pairwise(edges)), last]


def _limited(names: list[str], codes: Ints, limit: int) -> tuple[list[str], Ints]:
    """The groups that rows fall into, those beyond the limit as one."""
    present = np.flatnonzero(counted(codes, len(names)))
    kept = sorted(names[place] for place in present)
    if len(kept) > limit:
        kept = [*sorted(kept_groups(kept, limit)), OTHER]
    places = {name: place for place, name in enumerate(kept)}
    other = places.get(OTHER, -1)
    moved = np.array([*(places.get(name, other) for name in names), -1], np.int64)
    return kept, moved[codes]


def counted(codes: Ints, size: int) -> Ints:
    """How often each code from 0 comes; negative ones stand for nothing."""
    known = codes if not len(codes) or codes.min() >= 0 else codes[codes >= 0]
    return np.bincount(known, minlength=size)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers: measured, rather than counted by its values."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)
