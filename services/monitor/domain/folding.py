"""Record batches of predictions into window states, column by column."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from services.monitor.domain import native
from services.monitor.domain.bins import Bins, FeatureBins, category
from services.monitor.domain.categories import Categories, counted
from services.monitor.domain.grid import UNIT_INTERVAL, Floats, Ints
from services.monitor.domain.grouping import is_number
from services.monitor.domain.joined import no_joined
from services.monitor.domain.parts import Doubles, Parts
from services.monitor.domain.rows import Hashes, Rows, kept_names, lowest, mixed, no_rows, no_texts, single
from services.monitor.domain.schema import absent_inputs, faults_of
from services.monitor.domain.sketch import EMPTY, Sketch, merge, no_numbers
from services.monitor.domain.tally import Columns, Tally, columns_of
from shared.events import batches
from shared.events.registry import Signature

MICROSECONDS = 1_000_000
_TURNED = np.dtype(np.uint64).newbyteorder()
"""A double's bits from the other end, so that a product's high bits depend on those that differ most between values."""

_UNKNOWN = FeatureBins("", "numeric")
_OUTPUT = FeatureBins("", "numeric", UNIT_INTERVAL)


def times_of(batch: pa.RecordBatch) -> Ints:
    """The rows' event times in microseconds since 1970 (UTC)."""
    at = batch.column("at")
    return (at if at.type == batches.TIMESTAMP else at.cast(batches.TIMESTAMP)).view(pa.int64()).to_numpy()


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


def sketch_of(
    batch: pa.RecordBatch | Sequence[pa.RecordBatch],
    bins: Bins,
    limit: int = 1_000,
    signature: Signature | None = None,
    beside: Rows | None = None,
) -> Sketch:
    """The state of a window that holds just these predictions, of one batch or several: together they cost less.

    `limit`: values counted by name per categorical feature beyond those declared; `signature`: what faults are told by;
    `beside`: the sample that this state's will be merged with: rows that would not stay in it are left out.
    """
    if isinstance(batch, pa.RecordBatch):
        return _sketch([batch], bins, limit, signature, beside)
    sketch = EMPTY
    for group in alike(batch):
        found = _sketch(group, bins, limit, signature, beside)
        sketch = found if sketch is EMPTY else merge(sketch, found)
    return sketch


def alike(batches_: Sequence[pa.RecordBatch]) -> list[list[pa.RecordBatch]]:
    """Batches by their schema: a call for several costs hardly more than for one."""
    groups: list[tuple[pa.Schema, list[pa.RecordBatch]]] = []
    for one in batches_:
        schema = one.schema
        group = next((group for known, group in groups if known.equals(schema)), None)
        if group is None:
            groups.append((schema, [one]))
        else:
            group.append(one)
    return [group for _, group in groups]


def matrix(batch: pa.RecordBatch, columns: Sequence[str]) -> Floats:
    """Numeric columns as rows of doubles; missing values as NaN."""
    values = np.empty((len(columns), batch.num_rows))
    for place, name in enumerate(columns):
        values[place] = batch.column(name).to_numpy(zero_copy_only=False)
    return values


@dataclass(frozen=True, slots=True)
class _Layout:
    """Columns of a batch by how they are counted, as they are called there."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, schema: pa.Schema) -> "_Layout":
        numeric: list[str] = []
        categorical: list[str] = []
        outputs: list[str] = []
        for field in schema:
            if field.name.startswith(batches.FEATURE):
                (numeric if is_number(field.type) else categorical).append(field.name)
            elif field.name.startswith(batches.OUTPUT) and is_number(field.type):
                outputs.append(field.name)
        return cls(tuple(sorted(numeric)), tuple(sorted(categorical)), tuple(sorted(outputs)))

    @property
    def measured(self) -> tuple[str, ...]:
        return self.numeric + self.outputs


def _sketch(
    batches_: list[pa.RecordBatch], bins: Bins, limit: int, signature: Signature | None, beside: Rows | None
) -> Sketch:
    """Of batches of one schema."""
    parts = Parts(batches_)
    faults = faults_of(parts, signature) if signature is not None else {}
    if absent := absent_inputs(parts.schema, signature, bins):
        parts = Parts(batches_, absent)
    layout = _Layout.of(parts.schema)
    categories, codes = _categories(parts, layout, bins, limit)
    hashes = sum((_text_hashes(name, found) for name, found in codes.items()), np.zeros(parts.rows, np.uint64))
    features, outputs = no_numbers(), no_numbers()
    doubles: dict[str, Doubles] = {}
    if layout.measured:
        tally = Tally(_columns(layout, bins))
        with np.errstate(invalid="ignore", over="ignore"):  # what overflows lies in the outermost cells
            doubles = _measure(parts, layout, tally, hashes)
        numbers, split = tally.numbers(), len(layout.numeric)
        features = numbers.at(range(split))
        outputs = numbers.at(range(split, len(layout.measured)))
    sample = _sample(parts, layout, codes, mixed(hashes), beside, doubles) if layout.numeric or codes else no_rows()
    return Sketch(parts.rows, features, categories, outputs, no_joined(), limit, sample, faults)


def _columns(layout: _Layout, bins: Bins) -> Columns:
    """Features that are measured here but not in the reference are counted in the open grid."""
    names = [_bare(name) for name in layout.measured]
    found = [_measured_bins(bins.get(name)) for name in names[: len(layout.numeric)]]
    return columns_of(tuple(names), tuple(found + [_OUTPUT] * len(layout.outputs)))


def _measured_bins(found: FeatureBins | None) -> FeatureBins:
    return found if found is not None and found.kind == "numeric" else _UNKNOWN


def _measure(parts: Parts, layout: _Layout, tally: Tally, hashes: Hashes) -> dict[str, Doubles]:
    """Count all numeric columns, and add to each row's hash what its numeric features say; returns where the columns
    lie, if the compiled pass was used."""
    factors = [(_factor(name), _factor(f"no {name}")) for name in layout.numeric]
    compiled = native.kernel()
    if compiled is None:
        _measure_blocks(parts.batches, layout, tally, hashes, np.array(factors, np.uint64).reshape(-1, 2))
        return {}
    found = {name: parts.doubles(name) for name in layout.measured}
    for place, doubles in enumerate(found.values()):
        tally.add_column(compiled, place, doubles, hashes, factors[place] if place < len(factors) else None)
    return found


def _measure_blocks(
    parts: Sequence[pa.RecordBatch], layout: _Layout, tally: Tally, hashes: Hashes, factors: Hashes
) -> None:
    """By NumPy alone: block by block, in all columns at once."""
    count = len(layout.numeric)
    done = 0
    for block in _blocks(parts, layout.measured, tally.columns.rows):
        values, absent = tally.add(block)
        turned = np.multiply(values[:count].view(_TURNED), factors[:, :1], out=tally.words(count, values.shape[1]))
        if absent is not None:
            np.copyto(turned, factors[:, 1:], where=absent[:count])
        hashes[done : done + values.shape[1]] += turned.sum(axis=0, dtype=np.uint64)
        done += values.shape[1]


def _blocks(parts: Sequence[pa.RecordBatch], columns: Sequence[str], rows: int) -> Iterator[Floats]:
    """All rows [columns, up to so many rows] in blocks: long batches cut, short ones put together."""
    held: list[Floats] = []
    size = 0
    for part in parts:
        values = _tensor(part, columns)
        if size + part.num_rows <= rows:
            held.append(values)
            size += part.num_rows
            continue
        if held:
            yield np.concatenate(held, axis=1) if len(held) > 1 else held[0]
            held, size = [], 0
        cuts = max(-(-part.num_rows // rows), 1)
        width = -(-part.num_rows // cuts)
        if cuts == 1:
            held, size = [values], part.num_rows
        else:
            yield from (values[:, start : start + width] for start in range(0, part.num_rows, width))
    if held:
        yield np.concatenate(held, axis=1) if len(held) > 1 else held[0]


def _tensor(part: pa.RecordBatch, columns: Sequence[str]) -> Floats:
    """[columns, rows] numbers, NaN where missing."""
    chosen = part.select(columns)
    if set(chosen.schema.types) == {pa.float64()}:
        return chosen.to_tensor(null_to_nan=True, row_major=False).to_numpy().T
    return matrix(part, columns)


def _categories(
    parts: Parts, layout: _Layout, bins: Bins, limit: int
) -> tuple[dict[str, Categories], dict[str, tuple[list[str | None], Ints]]]:
    """Counts of each text or boolean column, and of each row which of the column's values it has (-1: none)."""
    categories: dict[str, Categories] = {}
    codes: dict[str, tuple[list[str | None], Ints]] = {}
    for column in layout.categorical:
        coded = pa.concat_arrays([_plain(chunk) for chunk in parts.chunks(column)]).dictionary_encode()
        names: list[str | None] = [category(value) for value in coded.dictionary.to_pylist()]
        places = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
        counts = np.bincount(places, minlength=len(names) + 1)
        found = bins.get(_bare(column))
        declared = found.declared if found is not None else ()
        pairs = zip((str(name) for name in names), counts.tolist(), strict=False)
        categories[_bare(column)] = counted(pairs, int(counts[-1]), declared, limit)
        codes[column] = [*names, None], places
    return categories, codes


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _text_hashes(column: str, found: tuple[list[str | None], Ints]) -> Hashes:
    names, places = found
    salt = np.uint64(_factor(column))
    with np.errstate(over="ignore"):
        return mixed(np.array([_factor(f"={name}") if name is not None else 0 for name in names], np.uint64) * salt)[
            places
        ]


def _sample(
    parts: Parts,
    layout: _Layout,
    codes: dict[str, tuple[list[str | None], Ints]],
    hashes: Hashes,
    beside: Rows | None,
    doubles: dict[str, Doubles],
) -> Rows:
    places, found, counts = lowest(hashes, beside)
    numeric = kept_names([_bare(name) for name in layout.numeric])
    named = kept_names([_bare(name) for name in layout.categorical])
    values = _values_at(parts.batches, [batches.FEATURE + name for name in numeric], places, doubles)
    texts = no_texts(len(places), len(named))
    for place, name in enumerate(named):
        names, at = codes[batches.FEATURE + name]
        texts[:, place] = np.array(names, np.object_)[at[places]]
    return Rows(numeric, named, found, counts, single(values), texts)


def _values_at(
    parts: Sequence[pa.RecordBatch], columns: list[str], places: Ints, doubles: dict[str, Doubles]
) -> Floats:
    """[places, columns] numbers of some rows of all parts, NaN where missing."""
    values = np.full((len(columns), len(places)), np.nan)
    ends = np.cumsum([part.num_rows for part in parts])
    belongs = np.searchsorted(ends, places, side="right")
    rows = places - np.concatenate([[0], ends])[belongs]
    compiled = native.kernel()
    if doubles and compiled is not None:
        for column, name in enumerate(columns):
            compiled.gather(doubles[name].addresses, belongs, rows, values[column])
    else:
        for part in np.unique(belongs) if columns else ():
            chosen = belongs == part
            values[:, chosen] = _tensor(parts[part], columns)[:, rows[chosen]]
    values[~np.isfinite(values)] = np.nan
    return values.T


def _bare(column: str) -> str:
    return column.split(".", 1)[1]


@lru_cache(maxsize=4_096)
def _factor(name: str) -> int:
    """An odd number of 64 bits that stands for a name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") | 1
