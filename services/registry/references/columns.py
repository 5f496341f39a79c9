"""The columns of a file as values: evenly spaced rows, the same of every column, so that rows still belong together."""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportAttributeAccessIssue=false
# pyarrow ships no types

import gzip
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from services.registry.references.fetching import Limits, Unreadable
from shared.events.registry import Field

Value = float | int | str | bool | None
Values = dict[str, tuple[Value, ...]]

MAX_JSON_BYTES = 16 * 2**20
"""A JSON document is held in memory as a whole; JSON lines, CSV and Parquet are not."""

MAX_LINE = 2**20
PIECE = 2**20
BATCH = 10_000
_CSV = {"double": pa.float64(), "long": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}


def read_columns(path: Path, name: str, fields: Sequence[Field], limits: Limits) -> tuple[Values, int]:
    """(values by feature, rows in the file). `fields`: the features wanted, none: every column. `name` tells by its
    ending what the file is. Raises Unreadable."""
    for ending, read in READERS.items():
        if name.lower().endswith(ending):
            try:
                return read(path, fields, limits)
            except Unreadable:
                raise
            except (pa.ArrowException, OSError, EOFError, ValueError, TypeError, KeyError) as error:
                raise Unreadable(f"its contents cannot be read: {error!s:.300}") from error
    raise Unreadable(f"its name must end in one of {', '.join(READERS)}, which says how to read it")


def picked(rows: int, most: int) -> np.ndarray:
    """The numbers of at most so many rows, evenly spaced from the first on."""
    return np.arange(rows) if rows <= most else np.arange(most, dtype=np.int64) * rows // most


def chosen(there: Sequence[str], fields: Sequence[Field], limits: Limits) -> list[str]:
    """The columns to take. Raises Unreadable where one that the signature requires is not there."""
    twice = sorted({name for name in there if there.count(name) > 1})
    if twice:
        raise Unreadable(f"it names the column {twice[0]!r} twice")
    missing = [one.name for one in fields if one.required and one.name not in there]
    if missing:
        raise Unreadable(f"it has no column {', '.join(missing[:10])}; there is {', '.join(there[:20])}")
    names = [one.name for one in fields if one.name in there] if fields else list(there)
    if not names or len(names) > limits.max_features:
        raise Unreadable(f"it has {len(names)} columns of features; 1 to {limits.max_features} are taken")
    return names


def _parquet(path: Path, fields: Sequence[Field], limits: Limits) -> tuple[Values, int]:
    with parquet.ParquetFile(path) as file:
        about = file.metadata
        names = chosen(file.schema_arrow.names, fields, limits)
        if sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups)) > 8 * limits.max_bytes:
            raise Unreadable("it unpacks to far more than its size; give a sample of it", "reference-too-large")
        batches = file.iter_batches(BATCH, columns=names)
        return _gathered(batches, names, about.num_rows, limits), about.num_rows


def _csv(path: Path, fields: Sequence[Field], limits: Limits) -> tuple[Values, int]:
    with _csv_reader(path, None, fields) as reader:
        names = chosen(reader.schema.names, fields, limits)
    with _csv_reader(path, names[:1], fields) as reader:
        rows = sum(batch.num_rows for batch in _timely(reader, limits))
    with _csv_reader(path, names, fields) as reader:
        return _gathered(reader, names, rows, limits), rows


def _csv_reader(path: Path, names: list[str] | None, fields: Sequence[Field]) -> Any:
    """Types as the signature says; what it does not name is taken for what its first values look like."""
    stream = pa.input_stream(str(path), compression="gzip" if _packed(path) else None)
    types = {one.name: _CSV[one.type] for one in fields}
    convert = csv.ConvertOptions(column_types=types, include_columns=names, strings_can_be_null=True)
    return csv.open_csv(stream, read_options=csv.ReadOptions(block_size=PIECE), convert_options=convert)


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _json(path: Path, fields: Sequence[Field], limits: Limits) -> tuple[Values, int]:
    """`{feature: [values]}` or `[{feature: value}]`."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise Unreadable(
            f"a JSON document may have {MAX_JSON_BYTES} bytes; use JSON lines or Parquet", "reference-too-large"
        )
    held = orjson.loads(path.read_bytes())
    if isinstance(held, list):
        return _rows(lambda: iter(held), len(held), fields, limits)
    if not isinstance(held, dict) or not all(isinstance(values, list) for values in held.values()):
        raise Unreadable("its JSON is neither {feature: [values]} nor [{feature: value}]")
    names = chosen(list(held), fields, limits)
    most = _most(names, limits)
    values = {name: tuple(held[name][place] for place in picked(len(held[name]), most)) for name in names}
    return _scalars(values), max(len(held[name]) for name in names)


def _json_lines(path: Path, fields: Sequence[Field], limits: Limits) -> tuple[Values, int]:
    def objects() -> Iterator[Any]:
        with gzip.open(path) if _packed(path) else path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise Unreadable(f"it has a line of more than {MAX_LINE} bytes")
                if line.strip():
                    limits.check_time()
                    yield orjson.loads(line)

    return _rows(objects, sum(1 for _ in objects()), fields, limits)


def _rows(
    objects: Callable[[], Iterator[Any]], rows: int, fields: Sequence[Field], limits: Limits
) -> tuple[Values, int]:
    first = next(objects(), None)
    if not isinstance(first, dict):
        raise Unreadable("its rows are no JSON objects")
    names = chosen(list(first), fields, limits)
    wanted = set(picked(rows, _most(names, limits)).tolist())
    kept = [one for place, one in enumerate(objects()) if place in wanted]
    if not all(isinstance(one, dict) for one in kept):
        raise Unreadable("its rows are no JSON objects")
    return _scalars({name: tuple(one.get(name) for one in kept) for name in names}), rows


def _scalars(values: Values) -> Values:
    for name, column in values.items():
        if any(isinstance(value, float) and not math.isfinite(value) for value in column):
            raise _infinite(name)
        odd = next((value for value in column if not isinstance(value, str | bool | int | float | None)), None)
        if odd is not None:
            raise Unreadable(
                f"column {name!r} holds a {type(odd).__name__}; only numbers, texts and truth values count"
            )
    return values


def _gathered(batches: Any, names: Sequence[str], rows: int, limits: Limits) -> Values:
    wanted, begin, parts = picked(rows, _most(names, limits)), 0, list[Any]()
    for batch in _timely(batches, limits):
        end = begin + batch.num_rows
        here = wanted[np.searchsorted(wanted, begin) : np.searchsorted(wanted, end)] - begin
        if len(here):
            parts.append(pa.Table.from_batches([batch.take(pa.array(here))]))
        begin = end
    if not parts:
        raise Unreadable("it has no rows")
    table = pa.concat_tables(parts)
    return {name: tuple(_plain(name, table.column(name)).to_pylist()) for name in names}


def _timely(batches: Any, limits: Limits) -> Iterator[Any]:
    for batch in batches:
        limits.check_time()
        yield batch


def _plain(name: str, column: Any) -> Any:
    """The column as numbers, texts or truth values; NaN counts as missing."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(name, column.cast(kind.value_type))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64())
        if pc.any(pc.is_inf(numbers)).as_py():
            raise _infinite(name)
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
        return column.cast(pa.string())
    raise Unreadable(f"column {name!r} is {kind}; only numbers, texts and truth values count")


def _infinite(name: str) -> Unreadable:
    return Unreadable(f"column {name!r} holds an infinite number")


def _most(names: Sequence[str], limits: Limits) -> int:
    return max(1, min(limits.values, limits.total // len(names)))


READERS: dict[str, Callable[[Path, Sequence[Field], Limits], tuple[Values, int]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".csv.gz": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".jsonl.gz": _json_lines,
    ".ndjson.gz": _json_lines,
}
