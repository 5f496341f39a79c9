"""Lists of predictions to flag, from JSON, CSV or Parquet, as rows in parts."""

# pyright: reportAttributeAccessIssue=false

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from services.feedback.worker.listed import SERVER_ID
from shared.events import batches
from shared.events.feedback import Severity
from shared.events.plain import not_plain
from shared.runtime.edge import check_json
from shared.runtime.problems import Problem

PART = 20_000
ID = "prediction_id"
COLUMNS = (ID, "category", "severity", "expected")
MAX_TEXT = 256
MAX_KINDS = 100
NUL = "\0"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"


def of_ids(ids: Sequence[str]) -> pa.Table:
    """A list that names predictions and nothing else."""
    return pa.table({ID: pa.array(ids, pa.string())})


def of_file(body: bytes, media_type: str, most: int) -> pa.Table:
    """The rows of a file. Raises Problem 415, 422 `bad-file`, `bad-row` with where it is."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in (CSV, PARQUET):
        raise Problem(415, "unsupported-media-type", f"'{kind}' is neither {CSV} nor {PARQUET}.")
    try:
        table = _csv(body) if kind == CSV else _parquet(body, most)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Problem(422, "bad-file", f"The file cannot be read as {kind}: {error}.") from error
    return _checked(table, most)


def once(table: pa.Table, category: str, named: Mapping[str, str]) -> pa.Table:
    """The same with each prediction once in a category (the bulk's, where a row names none), as its last row says it.
    `named`: ids of the clients' own → ids of the server, so that nothing is there under both."""
    if named:
        ids = [named.get(one, one) for one in table.column(ID).to_pylist()]
        table = table.set_column(table.schema.get_field_index(ID), ID, pa.array(ids, pa.string()))
    rows = {ID: table.column(ID), "row": pa.array(range(table.num_rows))}
    if "category" in table.schema.names:
        rows["category"] = pc.fill_null(table.column("category"), category)
    keys = [name for name in rows if name != "row"]
    last = pa.table(rows).group_by(keys).aggregate([("row", "max")]).column("row_max")
    return table if len(last) == table.num_rows else table.take(last.take(pc.sort_indices(last)))


def own_ids(table: pa.Table) -> list[str]:
    """The ids of the clients' own, where the list has ids of the server, too: both may name one prediction."""
    given = pc.match_substring_regex(table.column(ID), SERVER_ID)
    mixed = pc.any(given).as_py() and not pc.all(given).as_py()
    return table.column(ID).filter(pc.invert(given)).unique().to_pylist() if mixed else []


def parts(table: pa.Table) -> Iterator[tuple[int, bytes]]:
    """(first row, Arrow) of each part, in the order of the ids."""
    ordered = table.take(pc.sort_indices(table, sort_keys=[(ID, "ascending")]))
    for first in range(0, ordered.num_rows, PART):
        part = ordered.slice(first, PART).combine_chunks()
        yield first, batches.write(part.to_batches()[0])


def _csv(body: bytes) -> pa.Table:
    types = dict.fromkeys(COLUMNS, pa.string())
    options = pa_csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
    )
    return pa_csv.read_csv(io.BytesIO(body), convert_options=options)


def _parquet(body: bytes, most: int) -> pa.Table:
    file = pq.ParquetFile(io.BytesIO(body))
    rows: int = file.metadata.num_rows
    if rows > most:
        raise Problem(413, "too-many-predictions", f"The file has {rows} rows, more than {most}.")
    return file.read()


def _checked(table: pa.Table, most: int) -> pa.Table:
    if table.num_rows > most:
        raise Problem(413, "too-many-predictions", f"The file has {table.num_rows} rows, more than {most}.")
    if why := _wrong_columns(table):
        raise Problem(422, "bad-file", f"The file is no list of flags: {why}.", f"Columns: {', '.join(COLUMNS)}.")
    if not table.num_rows:
        raise Problem(422, "bad-file", "The file has no rows.")
    columns = {name: _text(table, name) for name in COLUMNS if name in table.schema.names}
    _each(columns)
    return pa.table(columns)


def _wrong_columns(table: pa.Table) -> str | None:
    """Why these columns are none of a list; None where they are."""
    try:
        names: list[str] = table.schema.names
    except UnicodeDecodeError:
        return "the names of its columns are no UTF-8"
    if unknown := sorted(set(names) - set(COLUMNS)):
        return f"it has unknown columns {unknown}"
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        return f"it has columns twice: {', '.join(twice)}"
    return None if ID in names else f"it has no column '{ID}'"


def _each(columns: dict[str, pa.ChunkedArray]) -> None:
    """Raises Problem 422 `bad-row` that names the first row which says what cannot be."""
    for name in (ID, "category"):
        if name in columns:
            lengths = pc.utf8_length(columns[name])
            bad = pc.or_(pc.equal(lengths, 0), pc.greater(lengths, MAX_TEXT))
            bad = pc.fill_null(bad, name == ID)
            _first(bad, f"'{name}' takes 1 to {MAX_TEXT} characters")
    if "severity" in columns:
        known = pc.is_in(columns["severity"], pa.array(get_args(Severity)))
        _first(
            pc.and_(pc.invert(known), pc.is_valid(columns["severity"])), f"'severity' is one of {get_args(Severity)}"
        )
    for name, column in columns.items():
        _first(pc.fill_null(pc.match_substring(column, NUL), False), f"'{name}' holds a NUL character")
    if "expected" in columns:
        for place, text in enumerate(columns["expected"].to_pylist()):
            if text is not None and (reason := _not_expected(text)):
                fix = 'Write numbers as 1, texts as "late".'
                raise Problem(422, "bad-row", f"Row {place + 1}: {reason}.", fix, row=place + 1)
    kinds = pa.table({name: columns[name] for name in ("category", "severity") if name in columns})
    if kinds.num_columns and kinds.group_by(kinds.schema.names).aggregate([]).num_rows > MAX_KINDS:
        raise Problem(422, "bad-file", f"The file has more than {MAX_KINDS} categories and severities.")


def _not_expected(text: str) -> str | None:
    """Why a text cannot be what was expected; None where it can."""
    try:
        check_json(text.encode())
        return not_plain(orjson.loads(text), "'expected'")
    except orjson.JSONDecodeError as error:
        return f"'expected' is no JSON: {error}"
    except Problem as problem:
        return f"'expected' {problem.detail.removeprefix('The body ').rstrip('.')}"


def _first(bad: pa.ChunkedArray, reason: str) -> None:
    place = pc.index(bad, pa.scalar(True)).as_py()
    if place >= 0:
        raise Problem(422, "bad-row", f"Row {place + 1}: {reason}.", row=place + 1)


def _text(table: pa.Table, name: str) -> pa.ChunkedArray:
    column = table.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if name == "expected" and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return _as_json(column)
    try:
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise Problem(422, "bad-file", f"Column '{name}' is no text: {error}.") from error


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as JSON; NaN is missing. Raises Problem 422 `bad-file` where JSON has no such values."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    try:
        said = [None if value is None else orjson.dumps(value).decode() for value in column.to_pylist()]
    except TypeError as error:
        detail = f"Column 'expected' is of type {kind}, which JSON has not."
        raise Problem(422, "bad-file", detail, "Send numbers, truths, or texts that hold JSON.") from error
    return pa.chunked_array([pa.array(said, pa.string())])
