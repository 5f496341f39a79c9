"""A stream of a schema seen before is taken by the short way only where the long way takes it, and as the same rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.monitor.domain.sketch import EMPTY
from services.monitor.facts import Judged, Version
from services.monitor.intake import arrow_rows
from services.monitor.intake.shapes import MAX_SHAPES, Shapes
from shared.events import batches
from shared.events.registry import Field, Signature
from shared.runtime.problems import Problem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = Signature(
    inputs=(
        Field(name="a", type="double"),
        Field(name="b", type="double", required=False),
        Field(name="n", type="long"),
        Field(name="t", type="string", required=False),
    ),
    outputs=(Field(name="p", type="double"),),
)
VERSION = Version("m", 1, SIGNATURE, {}, EMPTY, Judged())


def table(rows: int = 4, **changed: Any) -> pa.RecordBatch:
    columns: dict[str, Any] = {
        "at": pa.array([NOW] * rows, batches.TIMESTAMP),
        "segment": pa.array(["x"] * rows),
        "feature.a": pa.array(np.arange(rows, dtype=float)),
        "feature.b": pa.array(np.arange(rows, dtype=float) / 7),
        "feature.n": pa.array(np.arange(rows)),
        "feature.t": pa.array(["u"] * rows),
        "output.p": pa.array(np.linspace(0, 1, rows)),
    }
    return pa.record_batch(columns | changed)


def long_way(body: bytes) -> arrow_rows.Taken:
    return arrow_rows.predictions(body, arrow_rows.opened(body), SIGNATURE, "batch", NOW, 300)


def learned(body: bytes) -> Shapes:
    shapes = Shapes()
    shapes.learn(VERSION, long_way(body), body)
    return shapes


def test_the_next_stream_of_a_schema_takes_the_short_way() -> None:
    shapes = learned(batches.write(table()))
    later = batches.write(table(9))
    taken = shapes.taken(VERSION, later, NOW, 300)
    assert taken is not None
    assert taken.table is later
    assert taken.batch.equals(long_way(later).batch)
    instant = int(NOW.timestamp()) * 1_000_000
    assert taken.span == (instant, instant)


@pytest.mark.parametrize(
    "changed",
    [
        {"feature.a": pa.array([0.0, None, 2.0, 3.0])},
        {"feature.a": pa.array([0.0, float("nan"), 2.0, 3.0])},
        {"feature.b": pa.array([0.0, float("inf"), 2.0, 3.0])},
        {"feature.b": pa.array([0.0, float("inf"), float("-inf"), 3.0])},
        {"feature.b": pa.array([0.0, None, 2.0, 3.0])},
        {"feature.n": pa.array([0, None, 2, 3])},
        {"segment": pa.array(["x", "", "x", "x"])},
        {"segment": pa.array(["x", "y" * 201, "x", "x"])},
        {"at": pa.array([NOW + timedelta(days=1)] * 4, batches.TIMESTAMP)},
        {"at": pa.array([NOW, None, NOW, NOW], batches.TIMESTAMP)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_is_odd_goes_the_long_way(changed: dict[str, Any]) -> None:
    shapes = learned(batches.write(table()))
    assert shapes.taken(VERSION, batches.write(table(**changed)), NOW, 300) is None


def test_what_is_unlike_the_schema_goes_the_long_way() -> None:
    shapes = learned(batches.write(table()))
    whole = batches.write(table())
    other = Version("m", 2, SIGNATURE, {}, EMPTY, Judged())
    assert shapes.taken(other, whole, NOW, 300) is None
    assert shapes.taken(VERSION, batches.write(table().drop_columns(["segment"])), NOW, 300) is None
    two = pa.BufferOutputStream()
    with pa.ipc.new_stream(two, table().schema) as writer:
        writer.write_batch(table())
        writer.write_batch(table())
    for odd in (two.getvalue().to_pybytes(), whole[:-9], whole + b"\0", batches.write(table(0)), b"", b"\xff" * 40):
        assert shapes.taken(VERSION, odd, NOW, 300) is None


def test_compressed_values_are_looked_at_unpacked() -> None:
    shapes = learned(batches.write(table(1_000)))
    for value, taken in ((1.0, True), (float("nan"), False)):
        values = np.zeros(1_000)
        values[7] = value
        sink = pa.BufferOutputStream()
        batch = table(1_000, **{"feature.a": pa.array(values)})
        with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_batch(batch)
        assert (shapes.taken(VERSION, sink.getvalue().to_pybytes(), NOW, 300) is not None) is taken


@pytest.mark.parametrize("mask", [0xFF, 0x80, 0x01])
def test_a_changed_byte_is_taken_by_both_ways_or_by_the_long_one(mask: int) -> None:
    whole = batches.write(table())
    shapes = learned(whole)
    short = 0
    for place in range(len(whole)):
        body = bytearray(whole)
        body[place] ^= mask
        taken = shapes.taken(VERSION, bytes(body), NOW, 300)
        if taken is None:
            continue
        short += 1
        try:
            other = long_way(bytes(body))
        except Problem as problem:
            pytest.fail(f"byte {place}: the long way says {problem.detail}")
        assert taken.batch.equals(other.batch)
    assert short > 0


def test_own_ids_and_changed_types_are_not_remembered() -> None:
    with_ids = batches.write(table(prediction_id=pa.array(["a", "b", "c", "d"])))
    assert learned(with_ids).taken(VERSION, with_ids, NOW, 300) is None
    narrow = batches.write(table(**{"feature.a": pa.array(np.zeros(4), pa.float32())}))
    assert learned(narrow).taken(VERSION, narrow, NOW, 300) is None


def test_memory_of_schemas_is_bounded() -> None:
    shapes = Shapes()
    first = batches.write(table())
    taken = long_way(first)
    for number in range(MAX_SHAPES + 1):
        shapes.learn(Version("m", number, SIGNATURE, {}, EMPTY, Judged()), taken, first)
    assert shapes.taken(Version("m", 0, SIGNATURE, {}, EMPTY, Judged()), first, NOW, 300) is None
    assert shapes.taken(Version("m", MAX_SHAPES, SIGNATURE, {}, EMPTY, Judged()), first, NOW, 300) is not None
