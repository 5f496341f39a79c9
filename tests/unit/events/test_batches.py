"""Arrow streams: what was read once is read the short way, and no other way than the first time."""

import pyarrow as pa
import pytest

from shared.events import batches


def stream(*tables: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_batch(table)
    return sink.getvalue().to_pybytes()


def table(*values: float | None, text: str = "a") -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array(values, pa.float64()), "t": [text] * len(values)})


def test_a_schema_read_before_gives_the_same_rows() -> None:
    for values in ((1.0, 2.0), (3.0, None), ()):
        assert batches.read(batches.write(table(*values))).equals(table(*values))


def test_several_batches_behind_a_known_schema_are_one() -> None:
    batches.read(batches.write(table(0.0)))
    assert batches.read(stream(table(1.0), table(2.0, 3.0, text="b"))).column("x").to_pylist() == [1.0, 2.0, 3.0]


def test_dictionaries_are_read_each_time() -> None:
    for word in ("first", "second"):
        coded = pa.record_batch({"t": pa.array([word]).dictionary_encode()})
        assert batches.read(stream(coded)).column("t").to_pylist() == [word]


def test_what_is_cut_off_is_torn_though_its_schema_is_known() -> None:
    whole = batches.write(table(1.0, 2.0))
    batches.read(whole)
    for size in range(0, len(whole) - 8, 8):
        cut = whole[:size]
        if size and batches.read(whole).num_rows and _is_schema_alone(cut):
            assert batches.read(cut).num_rows == 0
            continue
        with pytest.raises(batches.TornBatch):
            batches.read(cut)


def _is_schema_alone(data: bytes) -> bool:
    return len(data) == 8 + int.from_bytes(data[4:8], "little")
