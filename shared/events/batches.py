"""Arrow record batches inside events: their columns, and how prediction ids name a batch and a row.

PREDICTIONS: `at` timestamp[us, UTC]; optional `prediction_id`, `entity`, `segment`, `shadow_of` (utf8); `feature.NAME`
and `output.NAME` (float64, int64, bool or utf8). `shadow_of`: of a shadow's row the prediction that answered the same
request, by batch and row, so that what came true of one came true of the other. `sealed` (utf8): personal values,
encrypted (`shared.keyring.sealing`); `entity` is then a token, and personal features have no column.
OUTCOMES: `prediction_id` utf8, `at` timestamp[us, UTC], `value` float64.
JOINED: `batch` utf8, `row` int32, `at` and `outcome_at` timestamp[us, UTC], `value` float64, `weight` int8,
optional `segment` utf8, and the prediction's `output.NAME` columns.
"""

# pyright: basic
# pyarrow ships no types

from typing import Any

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
MAX_ROWS = 10_000
FEATURE = "feature."
OUTPUT = "output."
MAX_SCHEMAS = 256
MAX_SCHEMA_BYTES = 64 * 2**10
SHADOW_OF = "shadow_of"
SEALED = "sealed"
_UUID_LENGTH = 36


class TornBatch(ValueError):
    """Bytes that are no whole Arrow IPC stream of one record batch."""


def write(batch: pa.RecordBatch) -> bytes:
    """A record batch as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def read(data: bytes) -> pa.RecordBatch:
    """The record batch of an Arrow IPC stream; several batches become one. Zero-copy where there is one."""
    known = _of_known_schema(data)
    if known is not None:
        return known
    try:
        with pa.ipc.open_stream(data) as reader:
            batches = list(reader)
            schema = reader.schema
    except (pa.ArrowException, OSError, EOFError) as error:
        raise TornBatch(f"no whole Arrow IPC stream: {error}") from error
    if len(batches) == 1:
        _learn(data, schema)
        return batches[0]
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=schema)
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


_GOES_ON = b"\xff\xff\xff\xff"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_schemas: dict[bytes, pa.Schema] = {}
"""Schemas by their bytes. To read one takes longer than to read the batch behind it, and few come again and again."""


def _head(data: bytes) -> int:
    """Bytes of a stream up to the end of its schema; 0 where that is no schema to remember."""
    size = 8 + int.from_bytes(data[4:8], "little")
    return size if data[:4] == _GOES_ON and 8 < size <= MAX_SCHEMA_BYTES and len(data) > size else 0


def _learn(data: bytes, schema: pa.Schema) -> None:
    size = _head(data)
    if size and not any(pa.types.is_dictionary(kind) for kind in schema.types):
        if len(_schemas) >= MAX_SCHEMAS:
            _schemas.clear()
        _schemas[bytes(data[:size])] = schema


def _of_known_schema(data: bytes) -> pa.RecordBatch | None:
    """The only batch of a stream whose schema was read before; None: read it as any."""
    size = _head(data)
    schema = _schemas.get(bytes(data[:size])) if size else None
    if schema is None:
        return None
    try:
        message = pa.ipc.read_message(pa.py_buffer(data).slice(size))
        over = size + 8 + int.from_bytes(data[size + 4 : size + 8], "little") + message.body.size
        if message.type != "record batch" or data[over:] not in (b"", _END):
            return None
        return pa.ipc.read_record_batch(message, schema)
    except (pa.ArrowException, OSError, EOFError):
        return None


def group(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Of one row the values whose columns begin with `prefix` (FEATURE or OUTPUT), by their own names."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def prediction_id(batch: str, row: int) -> str:
    """The id of one row of a batch whose rows have no ids of their own."""
    return f"{batch}-{row}"


def parse_prediction_id(text: str) -> tuple[str, int] | None:
    """(batch, row) of a server-given id; None where the id is a client's own."""
    batch, dash, row = text[:_UUID_LENGTH], text[_UUID_LENGTH : _UUID_LENGTH + 1], text[_UUID_LENGTH + 1 :]
    hexes = batch.replace("-", "")
    if dash != "-" or len(hexes) != 32 or not row.isascii() or not row.isdigit() or len(row) > 5:
        return None
    if any(character not in "0123456789abcdef" for character in hexes):
        return None
    return batch, int(row)
