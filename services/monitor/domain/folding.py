"""Record batches of predictions into window states, column by column."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.monitor.domain.bins import CELLS, Bins, cells_of
from services.monitor.domain.sketch import (
    Categories,
    Floats,
    Ints,
    Numbers,
    Sketch,
    limited,
    no_joined,
    no_moments,
    no_numbers,
)
from shared.events import batches

MICROSECONDS = 1_000_000


def times_of(batch: pa.RecordBatch) -> Ints:
    """The rows' event times in microseconds since 1970 (UTC)."""
    at = batch.column("at")
    at = at if at.type == batches.TIMESTAMP else at.cast(batches.TIMESTAMP)
    return at.view(pa.int64()).to_numpy()


def by_window(batch: pa.RecordBatch, seconds: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(start of the window in microseconds, its rows) of every window of so many seconds that the batch touches."""
    width = seconds * MICROSECONDS
    times = times_of(batch)
    first, last = int(times.min()) // width, int(times.max()) // width
    if first == last:
        yield first * width, batch
        return
    windows = times // width
    order = np.argsort(windows, kind="stable")
    starts, places = np.unique(windows[order], return_index=True)
    for start, rows in zip(starts, np.split(order, places[1:]), strict=True):
        yield int(start) * width, batch.take(pa.array(rows))


def sketch_of(batch: pa.RecordBatch, bins: Bins, limit: int = 1_000) -> Sketch:
    """The state of a window that holds just these predictions. `limit`: values counted per categorical feature."""
    numeric: list[str] = []
    categorical: list[str] = []
    outputs: list[str] = []
    for field in batch.schema:
        if field.name.startswith(batches.FEATURE):
            (numeric if is_number(field.type) else categorical).append(field.name)
        elif field.name.startswith(batches.OUTPUT) and is_number(field.type):
            outputs.append(field.name)
    return Sketch(
        batch.num_rows,
        _features(batch, sorted(numeric), bins),
        {_bare(name): _categories(batch.column(name), bins.get(_bare(name)), limit) for name in categorical},
        _outputs(batch, sorted(outputs)),
        no_joined(),
        limit,
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type is measured, rather than counted by its values."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def matrix(batch: pa.RecordBatch, columns: Sequence[str]) -> Floats:
    """Numeric columns as rows of doubles; missing values as NaN."""
    values = np.empty((len(columns), batch.num_rows))
    for place, name in enumerate(columns):
        values[place] = batch.column(name).to_numpy(zero_copy_only=False)
    return values


def _bare(column: str) -> str:
    return column.split(".", 1)[1]


def _features(batch: pa.RecordBatch, columns: list[str], bins: Bins) -> Numbers:
    if not columns:
        return no_numbers(CELLS + 2)
    names = tuple(_bare(name) for name in columns)
    values = matrix(batch, columns)
    missing, moments, known = _measured(values)
    return Numbers(names, missing, moments, _counted(values, known, names, bins))


def _outputs(batch: pa.RecordBatch, columns: list[str]) -> Numbers:
    if not columns:
        return no_numbers(0)
    missing, moments, _ = _measured(matrix(batch, columns))
    return Numbers(tuple(_bare(name) for name in columns), missing, moments, np.zeros((len(columns), 0), np.int64))


def _measured(values: Floats) -> tuple[Ints, Floats, NDArray[np.bool_] | None]:
    """(missing, moments, which values are known or None where all are) of each row of a matrix."""
    count, rows = values.shape
    sums = values.sum(axis=1)
    if np.isfinite(sums).all():
        moments = np.empty((count, 5))
        moments[:, 0], moments[:, 1] = rows, sums
        moments[:, 2] = np.einsum("ij,ij->i", values, values)
        values.min(axis=1, out=moments[:, 3])
        values.max(axis=1, out=moments[:, 4])
        return np.zeros(count, np.int64), moments, None
    known = np.isfinite(values)
    held = np.where(known, values, 0.0)
    moments = no_moments(count)
    moments[:, 0], moments[:, 1] = known.sum(axis=1), held.sum(axis=1)
    moments[:, 2] = np.einsum("ij,ij->i", held, held)
    moments[:, 3] = np.where(known, values, np.inf).min(axis=1)
    moments[:, 4] = np.where(known, values, -np.inf).max(axis=1)
    return rows - known.sum(axis=1), moments, known


def _counted(values: Floats, known: NDArray[np.bool_] | None, names: tuple[str, ...], bins: Bins) -> Ints:
    """How many known values of each row fall into each cell; features without a numeric reference have none."""
    cells = np.zeros((len(names), CELLS + 2), np.int64)
    edges = [(bins[name].low, bins[name].high) if _has_cells(bins, name) else None for name in names]
    places = [place for place, edge in enumerate(edges) if edge is not None]
    if not places:
        return cells
    low, high = np.array([edge for edge in edges if edge is not None]).T[:, :, None]
    whole = len(places) == len(names)
    chosen = values if whole else values[places]
    if known is None:
        found = cells_of(chosen, low, high)
        found += np.arange(len(places))[:, None] * (CELLS + 2)
    else:
        kept = known if whole else known[places]
        found = cells_of(np.where(kept, chosen, low), low, high)
        found += np.arange(len(places))[:, None] * (CELLS + 2)
        found = found[kept]
    counts = np.bincount(found.ravel(), minlength=len(places) * (CELLS + 2))
    cells[places] = counts.reshape(len(places), CELLS + 2)
    return cells


def _has_cells(bins: Bins, name: str) -> bool:
    return name in bins and bins[name].kind == "numeric"


def _categories(column: Any, bins: Any, limit: int) -> Categories:
    """Counts of a text or boolean column: with a reference, of its values only; else of whatever comes."""
    counted = pc.value_counts(column)
    values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    known = {value for value, _ in bins.counts} if bins is not None and bins.kind == "categorical" else None
    found: dict[str, int] = {}
    missing = other = 0
    for value, count in zip(values, counts, strict=True):
        name = value if isinstance(value, str) else ("true" if value else "false")
        if value is None:
            missing += count
        elif known is not None and name not in known:
            other += count
        else:
            found[name] = count
    return limited(Categories(found, other, missing), limit)
