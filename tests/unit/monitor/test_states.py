"""The state of a window: one set of rows gives one state, to the bit, whatever the split, the order and the merging."""

from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.monitor.domain import coding
from services.monitor.domain.bins import MAX_NAME, as_json, bins_of, category, from_json
from services.monitor.domain.categories import Categories, limited
from services.monitor.domain.folding import by_window, sketch_of
from services.monitor.domain.grid import CELLS, INNER, TAIL
from services.monitor.domain.reference import reference_of
from services.monitor.domain.rows import ROWS
from services.monitor.domain.sketch import EMPTY, Sketch, merge
from services.monitor.domain.sums import mean_and_deviation
from shared.events import batches
from shared.events.registry import Field, Signature
from tests.unit.monitor.drawn import KINDS, bins_for, one_column

SIGNATURE = Signature(
    inputs=(
        Field(name="x", type="double", required=False),
        Field(name="n", type="long"),
        Field(name="c", type="string", required=False),
        Field(name="b", type="boolean"),
        Field(name="skewed", type="double"),
    ),
    outputs=(Field(name="p", type="double"),),
)
REFERENCE: dict[str, Any] = {
    "x": [float(value) for value in range(1_000)] + [None, float("nan")],
    "n": list(range(-10, 10)),
    "c": ["red"] * 6 + ["blue"] * 3 + [None],
    "b": [True, False],
    "skewed": np.random.default_rng(0).lognormal(3, 2, 500).tolist(),
    "empty": [None, None],
}
BINS = bins_of(SIGNATURE, REFERENCE)
DAY = 86_400
START = 1_364_774_400_000_000
LIMIT = 3

number = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-2e3, 2e3)
    | st.sampled_from([0.0, -0.0, 5.0, 994.0, -0.5])
)
one_row = st.fixed_dictionaries(
    {
        "x": st.none() | number,
        "n": st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20),
        "c": st.none() | st.sampled_from(["red", "blue", "green"]) | st.text(max_size=3),
        "b": st.booleans(),
        "skewed": st.floats(0, 1e4) | number,
        "p": st.floats(0, 1),
        "day": st.integers(0, 2),
    }
)
rows_of = st.lists(one_row, min_size=1, max_size=40)


def table(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "at": pa.array([START + row["day"] * DAY * 1_000_000 for row in rows]).cast(batches.TIMESTAMP),
            "feature.x": pa.array([row["x"] for row in rows], pa.float64()),
            "feature.n": pa.array([row["n"] for row in rows], pa.int64()),
            "feature.c": pa.array([row["c"] for row in rows], pa.string()),
            "feature.b": pa.array([row["b"] for row in rows], pa.bool_()),
            "feature.skewed": pa.array([row["skewed"] for row in rows], pa.float64()),
            "output.p": pa.array([row["p"] for row in rows], pa.float64()),
        }
    )


def folded(parts: list[list[dict[str, Any]]]) -> dict[int, Sketch]:
    windows: dict[int, Sketch] = {}
    for rows in parts:
        for start, part in by_window(table(rows), DAY):
            windows[start] = merge(windows.get(start, EMPTY), sketch_of(part, BINS, LIMIT))
    return windows


@given(rows_of, st.data())
@settings(max_examples=50, deadline=None)
def test_any_split_and_any_order_give_the_same_bytes(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    parts = [part for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True) if (part := rows[a:b])]
    whole, split = folded([rows]), folded(data.draw(st.permutations(parts)))
    assert {start: coding.encode(one) for start, one in whole.items()} == {
        start: coding.encode(one) for start, one in split.items()
    }


@given(rows_of, rows_of, rows_of)
@settings(max_examples=25, deadline=None)
def test_merging_is_associative_and_commutative_with_a_unit(a: Any, b: Any, c: Any) -> None:
    x, y, z = (sketch_of(table(rows), BINS, LIMIT) for rows in (a, b, c))
    whole = coding.encode(sketch_of(table([*a, *b, *c]), BINS, LIMIT))
    assert coding.encode(merge(merge(x, y), z)) == whole
    assert coding.encode(merge(x, merge(y, z))) == whole
    assert coding.encode(merge(merge(z, y), x)) == whole
    assert coding.encode(merge(x, EMPTY)) == coding.encode(merge(EMPTY, x)) == coding.encode(x)


@given(st.lists(rows_of, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_batches_folded_together_are_those_folded_one_by_one(parts: list[list[dict[str, Any]]]) -> None:
    tables = [table(rows) for rows in parts]
    without = tables[0].select([name for name in tables[0].schema.names if name != "feature.x"])
    one_by_one = reduce(merge, [sketch_of(one, BINS, LIMIT) for one in [*tables, without]])
    assert coding.encode(sketch_of([*tables, without], BINS, LIMIT)) == coding.encode(one_by_one)


@given(rows_of)
@settings(max_examples=40, deadline=None)
def test_a_state_comes_back_from_its_bytes(rows: list[dict[str, Any]]) -> None:
    for sketch in folded([rows]).values():
        data = coding.encode(sketch)
        again = coding.decode(data)
        assert coding.encode(again) == data
        assert coding.encode(merge(again, sketch)) == coding.encode(merge(sketch, sketch))


@pytest.mark.parametrize("data", [b"nothing of this kind", b"MWS1" + b"\0" * 40])
def test_bytes_of_another_kind_or_version_are_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(coding.NotASketch, match="rebuild the monitor's views"):
        coding.decode(data)


def test_many_blocks_and_a_year_of_hours_are_the_same_as_the_whole() -> None:
    rng = np.random.default_rng(1)
    rows = 9_000
    whole = pa.record_batch(
        {f"feature.{name}": draw(rng, rows) for name, draw in KINDS.items()}
        | {"feature.c": rng.choice(["red", "blue", "new"], rows)}
    )
    bins = bins_of(
        Signature(inputs=(), outputs=()),
        {name: draw(np.random.default_rng(2), 2_000).tolist() for name, draw in KINDS.items()},
    )
    hours = [whole.slice(start, 300) for start in range(0, rows, 300)]
    merged = reduce(merge, [sketch_of(hour, bins) for hour in reversed(hours)])
    assert coding.encode(merged) == coding.encode(sketch_of(whole, bins)) == coding.encode(sketch_of(hours, bins))


@pytest.mark.parametrize("kind", KINDS)
def test_counts_bounds_mean_and_deviation_are_those_of_numpy(kind: str) -> None:
    rng = np.random.default_rng(3)
    values = KINDS[kind](rng, 3_000)
    bins = bins_for(KINDS[kind](rng, 3_000))
    column = pa.array(np.where(rng.random(3_000) < 0.1, np.nan, values), from_pandas=True)
    known = column.drop_null().to_numpy()
    numbers = sketch_of(one_column(column), bins).features
    grid, cells = bins["x"].grid, numbers.cells[0]
    assert (cells.sum(), numbers.missing[0], cells.min()) == (len(known), 3_000 - len(known), 0)
    assert (numbers.low[0], numbers.high[0]) == (known.min(), known.max())
    assert numbers.outside[0] == ((known < bins["x"].least) | (known > bins["x"].most)).sum()
    mean, deviation = mean_and_deviation(len(known), numbers.sums[0].tolist(), grid.low, grid.scale)
    if kind in ("extremes", "subnormal"):  # sums of doubles overflow, or vanish
        return
    span = max(grid.high - grid.low, np.abs(known).max() * 1e-6)
    exact = known / 2.0**40 if kind == "huge" else known * 2.0**40 if kind == "tiny" else known
    factor = 2.0**40 if kind == "huge" else 2.0**-40 if kind == "tiny" else 1.0
    assert mean == pytest.approx(exact.mean() * factor, rel=1e-9, abs=span * 2.0**-37)
    if kind not in ("huge", "tiny"):
        assert deviation == pytest.approx(known.std(), rel=1e-7, abs=span * 2.0**-17)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"int64 edges"}))
def test_a_value_lies_between_the_edges_of_its_cell(kind: str) -> None:
    rng = np.random.default_rng(4)
    grid = bins_for(KINDS[kind](rng, 2_000))["x"].grid
    values = np.concatenate(
        [KINDS[kind](rng, 500), np.clip(KINDS[kind](rng, 500), -1e300, 1e300) * 3, [0.0, 1e-9, -1e-9, 1e6, -1e6]]
    )
    cells, edges = grid.cells(values), grid.edges
    assert (np.diff(edges) >= 0).all()
    slack = 1e-9 * np.maximum(np.abs(values), min(grid.high - grid.low, 1e300))
    assert (edges[cells] <= values + slack).all()
    assert (values <= edges[cells + 1] + slack).all()
    order = np.argsort(values)
    assert (np.diff(cells[order]) >= 0).all()


def test_tail_cells_are_at_most_a_quarter_as_wide_as_they_are_far() -> None:
    edges = bins_for(np.linspace(0, 256, 10_001))["x"].grid.edges
    low, inner_high = edges[TAIL], edges[TAIL + INNER]
    width = (inner_high - low) / INNER
    above = edges[TAIL + INNER : CELLS]
    assert (np.diff(above) <= (width + (above[:-1] - inner_high) / 4) * (1 + 1e-9)).all()
    assert above[-1] - inner_high > 100_000 * width


@pytest.mark.parametrize(
    "values", [[7.0] * 50, [0.0], [1e300, -1e300], [1.7e308, -1.7e308], [5e-324, 0.0], [1e16, 1e16 + 2], [-(2.0**63)]]
)
def test_a_reference_without_spread_still_has_cells(values: list[float]) -> None:
    grid = bins_for(values)["x"].grid
    assert np.isfinite([grid.low, grid.high, grid.scale]).all()
    found = sketch_of(one_column(np.array([*values, -1e308, 1e308, 0.5])), bins_for(values)).features
    assert found.cells.sum() == len(values) + 3


def test_whole_numbers_have_a_cell_each_where_that_fits() -> None:
    bins = bins_for(list(range(24)), "long")["x"]
    cells = bins.grid.cells(np.arange(-120.0, 143.0))
    assert bins.single
    assert len(set(cells.tolist())) == 263
    assert not bins_for([0.0, 1.0, 2.0], "double")["x"].single


def test_missing_not_finite_and_zero_counts() -> None:
    column = pa.array([1.0, None, float("nan"), float("inf"), -0.0, 1e12])
    numbers = sketch_of(one_column(column), bins_for(list(range(100)))).features
    assert (numbers.missing[0], numbers.cells.sum(), numbers.low[0], numbers.high[0]) == (3, 3, 0.0, 1e12)
    nothing = sketch_of(one_column(pa.array([None, None], pa.float64())), bins_for([1.0, 2.0])).features
    assert (nothing.missing[0], nothing.cells.sum(), nothing.low[0], nothing.high[0]) == (2, 0, np.inf, -np.inf)
    assert nothing.sums.tolist() == [[0, 0]]


def test_columns_that_come_and_go_keep_their_counts() -> None:
    at = pa.array([START]).cast(batches.TIMESTAMP)
    first = pa.record_batch({"at": at, "feature.a": [1.0], "output.p": [0.5]})
    second = pa.record_batch({"at": at, "feature.b": [7.0], "feature.t": ["x"], "output.q": [0.1]})
    both = merge(sketch_of(first, {}), sketch_of(second, {}))
    assert both.features.names == ("a", "b")
    assert (both.features.low.tolist(), both.outputs.names) == ([1.0, 7.0], ("p", "q"))
    assert both.rows.names == ("a", "b")
    assert both.rows.text_names == ("t",)
    assert sorted(map(str, both.rows.texts[:, 0])) == ["None", "x"]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int32(), pa.float32()])
def test_kindred_types_are_counted_as_doubles(kind: pa.DataType) -> None:
    column = pa.array([1, 2, None, 3], kind)
    same = sketch_of(one_column(column.cast(pa.float64())), BINS)
    assert coding.encode(sketch_of(one_column(column), BINS)) == coding.encode(same)


@given(st.lists(st.text(max_size=4), max_size=60), st.integers(1, 10), st.data())
@settings(max_examples=60, deadline=None)
def test_a_limit_on_categories_does_not_depend_on_the_order(names: list[str], limit: int, data: st.DataObject) -> None:
    def state(parts: list[list[str]]) -> Categories:
        made = [
            sketch_of(pa.record_batch({"feature.c": pa.array(one, pa.string())}), BINS, limit) for one in parts if one
        ]
        return reduce(merge, made).categories["c"]

    if not names:
        return
    other = data.draw(st.permutations(names))
    one = state([[name] for name in names])
    two = state([list(other[place : place + 7]) for place in range(0, len(other), 7)])
    assert (one.declared, one.counts, one.other, one.missing) == (two.declared, two.counts, two.other, two.missing)
    assert (one.rest is None) == (two.rest is None)
    assert one.rest is None or (one.rest == two.rest).all()
    assert len(one.counts) <= limit
    assert one.known == len(names)
    assert set(one.declared) <= {"red", "blue"}
    for name in names:
        assert one.estimate(name) >= names.count(name)


def test_values_beyond_the_limit_are_estimated_within_the_bound() -> None:
    rng = np.random.default_rng(5)
    names = [f"user {place}" for place in rng.zipf(1.5, 20_000) % 5_000]
    sketch = sketch_of(pa.record_batch({"feature.c": names}), {}, 50)
    found = sketch.categories["c"]
    assert len(found.counts) == 50
    wrong = [found.estimate(name) - names.count(name) for name in {f"user {place}" for place in range(1, 200)}]
    assert min(wrong) >= 0
    assert np.mean(np.array(wrong) > np.e / 256 * found.other) < 0.05


def test_a_limit_keeps_everything_below_it() -> None:
    few = Categories({"a": 1}, {"b": 2}, 3, 4)
    assert limited(few, 1) is few


def test_long_names_are_cut_and_say_so() -> None:
    name = category("x" * 1_000)
    assert len(name) == MAX_NAME
    assert name.endswith("(1000 characters)")
    sketch = sketch_of(pa.record_batch({"feature.c": ["x" * 1_000, "x" * 1_000, "y"]}), {})
    assert sketch.categories["c"].counts == {name: 2, "y": 1}
    assert category("x" * 999 + "y") != name


def test_the_sample_tells_how_many_rows_are_distinct_and_repeated() -> None:
    rng = np.random.default_rng(6)
    distinct = rng.normal(size=(20_000, 3))
    values = np.concatenate([distinct, distinct[:5_000]])
    rng.shuffle(values)
    rows = sketch_of(pa.record_batch({f"feature.f{place}": values[:, place] for place in range(3)}), {}).rows
    assert len(rows.hashes) == ROWS
    assert rows.distinct(25_000) == pytest.approx(20_000, rel=4 / np.sqrt(ROWS))
    assert all(rows.distinct(most) == most for most in (256, 1_000))  # never more than there were
    assert rows.repeated() == pytest.approx(0.2, abs=0.08)
    few = sketch_of(pa.record_batch({"feature.a": [1.0, 1.0, 2.0], "feature.c": ["x", "x", None]}), {}).rows
    assert (few.distinct(3), few.repeated(), few.counts.sum()) == (2, pytest.approx(1 / 3), 3)


def test_a_row_with_a_value_missing_is_not_one_without() -> None:
    column = pa.array([0.0, None, 0.0, None])
    rows = sketch_of(pa.record_batch({"feature.x": column}), bins_for([0.0, 1.0])).rows
    assert sorted(rows.counts.tolist()) == [2, 2]


def test_bins_know_missing_values_and_unknown_features_and_come_back_from_json() -> None:
    assert set(BINS) == {"x", "n", "c", "b", "skewed"}
    assert BINS["c"].declared == ("red", "blue")
    assert BINS["b"].declared == ("false", "true")
    assert BINS["skewed"].grid.pivot is not None
    assert (BINS["x"].least, BINS["x"].most) == (0.0, 999.0)
    assert from_json(as_json(BINS)) == BINS


def test_a_reference_is_counted_as_a_window_is() -> None:
    found = reference_of({name: REFERENCE[name][:2] * 500 for name in ("x", "c", "b")} | {"n": [1] * 10}, BINS)
    assert found.predictions == 1_000
    assert (found.features.names, found.features.cells.sum(axis=1).tolist()) == (("n", "x"), [10, 1_000])
    assert found.categories["b"].declared == {"false": 500, "true": 500}
    assert found.rows.names == ("x",)
    assert reference_of({}, {}) is EMPTY
