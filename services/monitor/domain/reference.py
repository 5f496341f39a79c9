"""A version's reference as the state of a window, so that whatever is compared is of one kind."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from services.monitor.domain.bins import Bins, Reference, category, missing
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from shared.events import batches


def reference_of(reference: Mapping[str, Sequence[Reference]], bins: Bins, limit: int = 1_000) -> Sketch:
    """The reference's values, counted as a window's are.

    Features of one length are rows of one table; only the longest such table gives the sample of rows, since nothing
    says which values of the others belong together.
    """
    tables: dict[int, dict[str, pa.Array]] = {}
    for name, values in sorted(reference.items()):
        if name in bins:
            tables.setdefault(len(values), {})[batches.FEATURE + name] = _column(values, bins[name].kind == "numeric")
    sketch = EMPTY
    for length, columns in sorted(tables.items(), reverse=True):
        found = sketch_of(pa.record_batch(columns), bins, limit)
        if sketch is EMPTY:
            sketch = found
        else:
            sketch = replace(merge(sketch, found), predictions=max(sketch.predictions, length), rows=sketch.rows)
    return sketch


def _column(values: Sequence[Reference], numeric: bool) -> pa.Array:
    if numeric:
        return pa.array([None if missing(value) else float(value or 0) for value in values], pa.float64())
    return pa.array([None if missing(value) else category(value) for value in values], pa.string())
