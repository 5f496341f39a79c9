"""The state of a window: the same figures whatever the split, the order and the redelivery."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.monitor.domain import coding, outcomes
from services.monitor.domain.bins import CELLS, bins_of, cells_of, from_json
from services.monitor.domain.bins import as_json as bins_json
from services.monitor.domain.folding import by_window, sketch_of
from services.monitor.domain.joined import EDGES, joined_of
from services.monitor.domain.sketch import EMPTY, Categories, Sketch, limited, merge
from shared.events import batches
from shared.events.registry import Field, Signature

SIGNATURE = Signature(
    inputs=(
        Field(name="x", type="double", required=False),
        Field(name="n", type="long"),
        Field(name="c", type="string", required=False),
        Field(name="b", type="boolean"),
    ),
    outputs=(Field(name="p", type="double"),),
)
REFERENCE: dict[str, Any] = {
    "x": [float(value) for value in range(1_000)] + [None, float("nan")],
    "c": ["red"] * 6 + ["blue"] * 3 + [None],
    "b": [True, False],
    "empty": [None, None],
}
BINS = bins_of(SIGNATURE, REFERENCE)
DAY = 86_400
START = 1_364_774_400_000_000

number = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 5.0, 994.0, 995.0, 1e150])
one_row = st.fixed_dictionaries(
    {
        "x": st.none() | number,
        "n": st.integers(-(2**40), 2**40),
        "c": st.none() | st.sampled_from(["red", "blue", "green"]) | st.text(max_size=3),
        "b": st.booleans(),
        "p": st.floats(0, 1),
        "day": st.integers(0, 2),
        "y": st.none() | st.sampled_from([0.0, 1.0]),
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
            "output.p": pa.array([row["p"] for row in rows], pa.float64()),
        }
    )


def joined(rows: list[dict[str, Any]]) -> Sketch:
    told = [row for row in rows if row["y"] is not None]
    scores = np.array([[row["p"] for row in told]])
    part = joined_of(("p",), scores, np.array([row["y"] for row in told]), np.ones(len(told), np.int64))
    return Sketch(0, EMPTY.features, {}, EMPTY.outputs, part)


def folded(parts: list[list[dict[str, Any]]]) -> dict[int, Sketch]:
    windows: dict[int, Sketch] = {}
    for rows in parts:
        for start, part in by_window(table(rows), DAY):
            windows[start] = merge(windows.get(start, EMPTY), sketch_of(part, BINS))
        for day in {row["day"] for row in rows}:
            start = START + day * DAY * 1_000_000
            windows[start] = merge(windows.get(start, EMPTY), joined([row for row in rows if row["day"] == day]))
    return windows


def same(left: Sketch, right: Sketch) -> None:
    assert left.predictions == right.predictions
    assert left.categories == right.categories
    for one, other in ((left.features, right.features), (left.outputs, right.outputs)):
        assert one.names == other.names
        assert (one.missing == other.missing).all()
        assert (one.cells == other.cells).all()
        np.testing.assert_allclose(one.moments, other.moments, rtol=1e-9, atol=1e-3)
    assert left.joined.outcomes == right.joined.outcomes
    assert (left.joined.cells == right.joined.cells).all()
    assert (left.joined.binary == right.joined.binary).all()


@given(rows_of, st.data())
@settings(max_examples=60, deadline=None)
def test_any_split_and_any_order_give_the_same_state(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    parts = [part for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True) if (part := rows[a:b])]
    whole, split = folded([rows]), folded(data.draw(st.permutations(parts)))
    assert set(whole) == set(split)
    for start in whole:
        same(whole[start], split[start])


@given(rows_of, rows_of, rows_of)
@settings(max_examples=30, deadline=None)
def test_merging_is_associative_and_commutative_with_a_unit(a: Any, b: Any, c: Any) -> None:
    x, y, z = (sketch_of(table(rows), BINS) for rows in (a, b, c))
    same(merge(merge(x, y), z), merge(x, merge(y, z)))
    same(merge(x, y), merge(y, x))
    assert coding.encode(merge(EMPTY, x)) == coding.encode(x)


@given(rows_of)
@settings(max_examples=40, deadline=None)
def test_a_state_comes_back_from_its_bytes(rows: list[dict[str, Any]]) -> None:
    for sketch in folded([rows]).values():
        data = coding.encode(sketch)
        assert coding.encode(coding.decode(data)) == data
        same(coding.decode(data), sketch)


def test_bytes_of_another_kind_are_refused() -> None:
    with pytest.raises(coding.NotASketch):
        coding.decode(b"nothing of this kind")


@given(rows_of)
@settings(max_examples=40, deadline=None)
def test_moments_and_cells_agree_with_numpy(rows: list[dict[str, Any]]) -> None:
    sketch = sketch_of(table(rows), BINS)
    place = sketch.features.names.index("x")
    known = np.array([row["x"] for row in rows if row["x"] is not None])
    count, total, squares, low, high = sketch.features.moments[place]
    assert (count, sketch.features.missing[place]) == (len(known), len(rows) - len(known))
    np.testing.assert_allclose([total, squares], [known.sum(), (known**2).sum()], rtol=1e-9, atol=1e-6)
    if len(known):
        assert (low, high) == (known.min(), known.max())
    bins = BINS["x"]
    edges = np.linspace(bins.low, bins.high, CELLS + 1)
    cells = sketch.features.cells[place]
    assert cells.sum() == len(known)
    assert (cells[0], cells[-1]) == ((known < bins.low).sum(), (known >= bins.high).sum())
    inside = (known >= bins.low) & (known < bins.high)
    near = np.abs(known[inside, None] - edges).min(axis=1, initial=np.inf) < 1e-9
    if not near.any():
        assert (cells[1:-1] == np.histogram(known[inside], edges)[0]).all()


def test_features_that_come_and_go_keep_their_counts() -> None:
    first = pa.record_batch({"at": pa.array([START]).cast(batches.TIMESTAMP), "feature.a": [1.0], "output.p": [0.5]})
    second = pa.record_batch({"at": pa.array([START]).cast(batches.TIMESTAMP), "feature.b": [7.0], "output.q": [0.1]})
    both = merge(sketch_of(first, {}), sketch_of(second, {}))
    assert both.features.names == ("a", "b")
    assert both.features.moments[:, 1].tolist() == [1.0, 7.0]
    assert both.features.moments[:, 3].tolist() == [1.0, 7.0]
    assert both.outputs.names == ("p", "q")


@given(st.lists(st.text(max_size=4), max_size=60), st.integers(1, 10), st.data())
@settings(max_examples=50, deadline=None)
def test_a_limit_on_categories_does_not_depend_on_the_order(names: list[str], limit: int, data: st.DataObject) -> None:
    def column(values: list[str]) -> Sketch:
        at = pa.array([START] * len(values), pa.int64()).cast(batches.TIMESTAMP)
        made = pa.record_batch({"at": at, "feature.c": pa.array(values, pa.string())})
        return sketch_of(made, {}, limit)

    other = data.draw(st.permutations(names))
    one = Sketch(0, EMPTY.features, {}, EMPTY.outputs, EMPTY.joined, limit)
    two = one
    for name in names:
        one = merge(one, column([name]))
    for place in range(0, len(other), 7):
        two = merge(two, column(other[place : place + 7]))
    assert one.categories == two.categories
    if names:
        assert len(one.categories["c"].counts) <= limit
        assert sum(one.categories["c"].counts.values()) + one.categories["c"].other == len(names)


def test_a_limit_keeps_everything_below_it() -> None:
    few = Categories({"a": 1, "b": 2}, 3, 4)
    assert limited(few, 2) is few


@pytest.mark.parametrize(
    "values", [[7.0] * 50, [0.0], [1e300, -1e300], [1.7e308, -1.7e308], [5e-324, 0.0], [1e16, 1e16 + 2]]
)
def test_a_reference_without_spread_still_has_cells(values: list[float]) -> None:
    bins = bins_of(SIGNATURE, {"x": values})["x"]
    assert np.isfinite([bins.low, bins.high]).all()
    assert sum(count for _, count in bins.cells) == len(values)
    counted = cells_of(np.array([*values, -1e308, 1e308]), bins.low, bins.high)
    assert ((counted >= 0) & (counted <= CELLS + 1)).all()


def test_bins_know_missing_values_and_unknown_features_and_come_back_from_json() -> None:
    assert set(BINS) == {"x", "c", "b"}
    assert (BINS["x"].missing, BINS["c"].missing) == (2, 1)
    assert BINS["c"].counts == (("red", 6), ("blue", 3))
    assert BINS["b"].counts == (("false", 1), ("true", 1))
    assert from_json(bins_json(BINS)) == BINS


@given(st.floats(0, 1), st.integers(0, 1_000))
def test_a_scores_cell_is_exact_at_every_thousandth(score: float, k: int) -> None:
    for value in (score, float(EDGES[k]), float(np.nextafter(EDGES[k], 0)), float(np.nextafter(EDGES[k], 2))):
        if not 0 <= value <= 1:
            continue
        part = joined_of(("p",), np.array([[value]]), np.array([1.0]), np.array([1]))
        (cell,) = np.flatnonzero(part.cells[0, 1])
        assert (value >= k / 1_000) == (cell >= k)


told = st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 2.5]), st.integers(0, 3), st.integers(1, 4))


@given(st.lists(told, max_size=12), st.data())
@settings(max_examples=80, deadline=None)
def test_the_truth_is_what_was_told_last_and_the_joins_add_up_to_it(items: Any, data: st.DataObject) -> None:
    def ends(order: Any) -> tuple[outcomes.Truth, dict[tuple[int, float], int]]:
        truth, sums = outcomes.untold(5), {}
        for row, value, at, when in order:
            arrays = (np.array([row]), np.array([value]), np.array([at]), np.array([when]))
            truth, joins = outcomes.tell(truth, *arrays)
            for place, joined_value, weight in zip(joins.rows, joins.values, joins.weights, strict=True):
                key = (int(place), float(joined_value))
                sums[key] = sums.get(key, 0) + int(weight)
        return truth, {key: count for key, count in sums.items() if count}

    truth, sums = ends(items)
    again, _ = ends(items + items)
    other, other_sums = ends(data.draw(st.permutations(items)))
    np.testing.assert_array_equal(truth.values, other.values)
    np.testing.assert_array_equal(truth.values, again.values)
    assert sums == other_sums
    assert sums == {(row, float(v)): 1 for row, v in enumerate(truth.values) if not np.isnan(v)}
    assert outcomes.encode(outcomes.decode(outcomes.encode(truth))) == outcomes.encode(truth)
    last = {row: max(one[3] for one in items if one[0] == row) for row, *_ in items}
    for row, when in last.items():
        assert truth.values[row] == max(one[1] for one in items if one[0] == row and one[3] == when)


def test_within_one_telling_the_last_row_holds() -> None:
    rows, told_at = np.array([0, 0]), np.array([5, 5])
    truth, joins = outcomes.tell(outcomes.untold(1), rows, np.array([1.0, 0.0]), np.array([1, 2]), told_at)
    assert (truth.values.tolist(), truth.at.tolist()) == ([0.0], [2])
    assert (joins.values.tolist(), joins.weights.tolist()) == ([0.0], [1])


def test_an_outcome_taken_back_leaves_nothing_behind() -> None:
    scores, truth = np.array([[0.123, 0.77]]), np.array([1.0, 0.0])
    there = joined_of(("p",), scores, truth, np.array([1, 1]))
    gone = joined_of(("p",), scores, truth, np.array([-1, -1]))
    left = merge(
        Sketch(0, EMPTY.features, {}, EMPTY.outputs, there), Sketch(0, EMPTY.features, {}, EMPTY.outputs, gone)
    )
    assert left.joined.outcomes == 0
    assert not left.joined.cells.any()
    assert not left.joined.binary.any()
