"""Scores against outcomes: one state, to the bit, whatever the split, the order, the redelivery and corrections."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.monitor.domain import coding, outcomes
from services.monitor.domain.counting import joined_of, predicted_of, told_of
from services.monitor.domain.grouping import bands
from services.monitor.domain.joined import Joined, Part, kept_groups, merge_joined, no_joined
from services.monitor.domain.joined_bytes import decode_joined, encode_joined
from services.monitor.domain.plan import BY_SEGMENT, Grouping, Output, Plan
from services.monitor.domain.quality import quality
from services.monitor.domain.sketch import EMPTY
from tests.unit.monitor.judged_rows import table

LABELS = ("no", "maybe", "yes")
PLAN = Plan(
    (Output("p"), Output("sure", "binary"), Output("label", "multiclass", LABELS), Output("minutes", "regression")),
    (BY_SEGMENT, Grouping("age", "feature.age", (30.0, 60.0)), Grouping("sex", "feature.sex")),
    limit=2,
)

one_row = st.fixed_dictionaries(
    {
        "segment": st.none() | st.sampled_from(["JFK", "LGA", "EWR", "other", ""]),
        "age": st.none() | st.sampled_from([29.9, 30.0, 45.0, 60.0, 1e9]),
        "sex": st.none() | st.sampled_from(["f", "m"]),
        "p": st.none() | st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.3, -2.0, 7.5, 1e300]),
        "sure": st.booleans(),
        "label": st.none() | st.sampled_from([*LABELS, "unheard of"]),
        "minutes": st.none() | st.floats(-1e9, 1e9) | st.sampled_from([1e70, -1e300]),
        "told": st.lists(st.sampled_from([0.0, 1.0, 2.0, 0.5, -3.0, 1e80, 12345.678]), max_size=3),
    }
)
rows_of = st.lists(one_row, min_size=1, max_size=30)


def rows_table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    texts, numbers = pa.string(), pa.float64()
    kinds = {"segment": texts, "feature.age": numbers, "feature.sex": texts, "output.p": numbers}
    kinds |= {"output.sure": pa.bool_(), "output.label": texts, "output.minutes": numbers}
    return table({name: pa.array([row[name.split(".")[-1]] for row in rows], kind) for name, kind in kinds.items()})


def events_of(rows: list[dict[str, Any]]) -> list[Joined]:
    """What each row adds: its prediction, then each outcome told of it, which takes the one before back."""
    found: list[Joined] = []
    for row in rows:
        batch = rows_table([row])
        found.append(predicted_of(batch, PLAN))
        before: list[float] = []
        for value in row["told"]:
            found += [told_of(batch, PLAN, np.array([old]), np.array([-1])) for old in before]
            found.append(told_of(batch, PLAN, np.array([value]), np.array([1])))
            before = [value]
    return found


def whole_of(rows: list[dict[str, Any]]) -> Joined:
    """The same at once, in two steps: all predictions, then the last outcome of each."""
    last = [row for row in rows if row["told"]]
    values = np.array([row["told"][-1] for row in last])
    told = told_of(rows_table(last), PLAN, values, np.ones(len(last), np.int64)) if last else no_joined()
    return merge_joined(predicted_of(rows_table(rows), PLAN), told)


def together(parts: list[Joined]) -> Joined:
    found = no_joined()
    for part in parts:
        found = merge_joined(found, part)
    return found


@given(rows_of, st.data())
@settings(max_examples=60, deadline=None)
def test_any_order_and_split_of_predictions_outcomes_and_corrections_give_one_state(rows, data) -> None:
    parts = data.draw(st.permutations(events_of(rows)))
    split = together(parts)
    assert encode_joined(split) == encode_joined(merge_joined(whole_of(rows), no_joined()))
    cut = data.draw(st.integers(0, len(parts)))
    assert encode_joined(merge_joined(together(parts[:cut]), together(parts[cut:]))) == encode_joined(split)


@given(rows_of)
@settings(max_examples=40, deadline=None)
def test_a_state_comes_back_from_its_bytes(rows) -> None:
    state = whole_of(rows)
    assert encode_joined(decode_joined(encode_joined(state))) == encode_joined(state)
    whole = coding.encode(replace(EMPTY, joined=state))
    assert encode_joined(coding.joined_in(whole)) == encode_joined(coding.decode(whole).joined) == encode_joined(state)
    with pytest.raises(coding.NotASketch):
        coding.joined_in(b"MWS2" + whole[4:])


@given(rows_of)
@settings(max_examples=40, deadline=None)
def test_groups_add_up_to_the_whole(rows) -> None:
    state = merge_joined(whole_of(rows), no_joined())
    for column in state.names:
        for attribute in ("segment", "age", "sex"):
            parts = state.groups(column, attribute)
            named = [row for row in rows if row[attribute] is not None]
            assert sum(state.parts[part].tally("predictions") for part in parts) == len(named)
            assert sum(state.parts[part].tally("outcomes") for part in parts) == sum(bool(row["told"]) for row in named)
            assert len([part for part in parts if part.group is not None]) <= PLAN.limit
        assert state.parts[Part(column)].tally("predictions") == len(rows)


def test_a_batch_of_very_many_groups_is_counted_in_few() -> None:
    names = [f"customer {place}" for place in range(500)]
    state = predicted_of(table({"segment": names, "output.p": np.full(500, 0.5)}), Plan())
    parts = state.groups("p", "segment")
    assert [part.group for part in parts[:-1]] == sorted(kept_groups(names, 50))
    assert (parts[-1].group, state.parts[parts[-1]].tally("predictions")) == (None, 450)


def test_bands_hold_their_lower_edge() -> None:
    assert bands((25.0, 60.5)) == ["<25", "25..<60.5", ">=60.5"]
    plan = Plan((Output("p"),), (Grouping("age", "feature.age", (25.0, 60.5)),))
    state = predicted_of(table({"feature.age": [24.9, 25.0, 60.5, None], "output.p": [0.1] * 4}), plan)
    assert {part.group: state.parts[part].tally("predictions") for part in state.groups("p", "age")} == {
        "<25": 1,
        "25..<60.5": 1,
        ">=60.5": 1,
    }


def test_a_measured_number_without_edges_makes_no_groups() -> None:
    plan = Plan((Output("p"),), (Grouping("age", "feature.age"),))
    assert predicted_of(table({"feature.age": [1.5], "output.p": [0.1]}), plan).attributes() == ()
    whole = predicted_of(table({"feature.age": [2, 3], "output.p": [0.1, 0.1]}), plan)
    assert [part.group for part in whole.groups("p", "age")] == ["2", "3"]


def test_one_odd_outcome_does_not_turn_a_question_into_a_quantity() -> None:
    state = joined_of(("p",), np.array([[0.2, 0.9, 0.4]]), np.array([0.0, 1.0, 7.0]), np.ones(3, np.int64))
    found = quality(state.parts[Part("p")], "binary", 0.5)
    assert (found.task, found.cases, found.invalid, found.figures["accuracy"]) == ("binary", 2, 1, 1.0)


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


@pytest.mark.parametrize("value", [1.0, 1e70, 0.1])
def test_an_outcome_taken_back_leaves_nothing_behind(value: float) -> None:
    scores, truth = np.array([[0.123, 0.77]]), np.array([value, 0.0])
    there = joined_of(("p",), scores, truth, np.array([1, 1]))
    gone = joined_of(("p",), scores, truth, np.array([-1, -1]))
    left = merge_joined(there, gone)
    nothing = Joined(0, {Part("p"): type(left.parts[Part("p")])()})
    assert encode_joined(left) == encode_joined(nothing)
