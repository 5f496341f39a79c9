"""Figures of estimates and of classes against NumPy, SciPy and scikit-learn; sums without rounding."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from services.monitor.domain import exact, spread
from services.monitor.domain.quality import per_class, quality
from tests.unit.monitor.judged_rows import counted

finite = st.floats(allow_nan=False, allow_infinity=False)
doubles = st.lists(finite, max_size=40)


@given(doubles, st.data())
def test_a_sum_is_exact_whatever_the_order_and_the_parts(values: list[float], data: st.DataObject) -> None:
    array, ones = np.array(values, np.float64), np.ones(len(values), np.int64)
    whole = exact.total(array, ones)
    assert exact.fraction(whole) == sum(map(Fraction, values), Fraction())
    cut = data.draw(st.integers(0, len(values)))
    order = np.array(data.draw(st.permutations(values)), np.float64)
    assert exact.total(order[:cut], ones[:cut]) + exact.total(order[cut:], ones[cut:]) == whole
    assert whole + exact.total(array, -ones) == 0
    assert exact.unpacked(exact.packed(whole)) == whole


def test_a_term_taken_back_leaves_nothing_behind() -> None:
    small = exact.total(np.array([0.1, 0.2]), np.array([1, 1]))
    both = small + exact.total(np.array([1e300]), np.array([1])) + exact.total(np.array([1e300]), np.array([-1]))
    assert exact.mean(both, 2) == math.fsum([0.1, 0.2]) / 2


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_a_variance_does_not_cancel(values: list[float]) -> None:
    shifted = np.array(values) + 1e9
    ones = np.ones(len(values), np.int64)
    found = exact.variance(exact.total(shifted, ones), exact.total(shifted**2, ones), len(values))
    # squares of 1e18 are rounded to 128 each, which is all the error there is
    assert found == pytest.approx(float(np.var(shifted, ddof=1)), rel=1e-6, abs=300)


sized = st.floats(1e-9, 1e75) | st.floats(-1e75, -1e-9) | st.just(0.0)


@given(st.lists(sized, min_size=1, max_size=60), st.floats(0, 1))
@settings(max_examples=150)
def test_a_quantile_is_right_to_one_per_cent(values: list[float], share: float) -> None:
    counts = spread.counted(np.array(values), np.ones(len(values), np.int64))
    expected = sorted(values)[math.floor(share * (len(values) - 1))]
    assert abs(spread.quantile(counts, share) - expected) <= abs(expected) * (spread.ACCURACY + 1e-9)


def test_numbers_too_small_to_tell_are_zero() -> None:
    counts = spread.counted(np.array([1e-12, -1e-300, 0.0]), np.ones(3, np.int64))
    assert (counts, spread.quantile(counts, 0.5)) == ({0: 3}, 0.0)
    assert math.isnan(spread.quantile({}, 0.5))
    assert spread.counted(np.array([2.0, 2.0]), np.array([1, -1])) == {}


kinds = st.sampled_from(["normal", "constant", "huge", "tiny", "few"])


def quantities(kind: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "normal":
        return rng.normal(10, 4, rows)
    if kind == "constant":
        return np.full(rows, 3.3)
    if kind == "few":
        return rng.choice([1.0, 2.0], rows)
    return rng.normal(0, 1, rows) * (1e60 if kind == "huge" else 1e-7)


@given(kinds, kinds, st.integers(2, 200), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_estimates_are_judged_as_scikit_learn_does(estimate: str, outcome: str, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, truth = quantities(estimate, rows, rng), quantities(outcome, rows, rng)
    found = quality(counted(score, truth, "regression"), "regression", 0.5)
    error = score - truth
    assert found.figures["mae"] == pytest.approx(metrics.mean_absolute_error(truth, score), rel=1e-9)
    assert found.figures["rmse"] == pytest.approx(math.sqrt(metrics.mean_squared_error(truth, score)), rel=1e-9)
    assert found.figures["bias"] == pytest.approx(math.fsum(error) / rows, rel=1e-9, abs=1e-9 * np.abs(error).max())
    if len(set(truth.tolist())) > 1:
        expected = metrics.r2_score(truth, score)
        assert found.figures["r2"] == pytest.approx(expected, rel=1e-6, abs=1e-6 * max(1, abs(expected)))
    for name in ("error_p05", "error_p25", "error_p50", "error_p75", "error_p95"):
        exactly = np.quantile(error, int(name[-2:]) / 100, method="lower")
        assert abs(found.figures[name] - exactly) <= abs(exactly) * 0.0100 + 1e-9
    assert found.intervals["mae"][0] <= found.figures["mae"] <= found.intervals["mae"][1] * (1 + 1e-12)


def test_intervals_of_errors_are_students() -> None:
    rng = np.random.default_rng(4)
    error = rng.normal(1, 2, 50)
    found = quality(counted(error, np.zeros(50), "regression"), "regression", 0.5)
    for name, values in (("bias", error), ("mae", np.abs(error)), ("mse", error**2)):
        expected = stats.t.interval(0.95, 49, values.mean(), stats.sem(values))
        assert found.intervals[name] == pytest.approx(expected, rel=1e-8), name
    assert found.intervals["rmse"] == pytest.approx(tuple(math.sqrt(end) for end in found.intervals["mse"]), rel=1e-8)


def test_outcomes_that_are_no_quantity_are_counted() -> None:
    score, truth = np.array([1.0, 2.0, np.nan, 3.0]), np.array([1.5, 1e80, 2.0, 2.0])
    found = quality(counted(score, truth, "regression"), "regression", 0.5)
    assert (found.cases, found.invalid, found.unscored) == (2, 1, 1)
    assert found.figures["mae"] == 0.75


def test_equal_outcomes_have_no_r2() -> None:
    assert (
        "r2" not in quality(counted(np.array([1.0, 2.0, 4.0]), np.full(3, 0.1), "regression"), "regression", 0).figures
    )


@given(st.integers(1, 200), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_classes_are_judged_as_scikit_learn_does(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ("red", "green", "blue", "grey")
    predicted, actual = rng.integers(0, 3, rows), rng.choice([0, 1, 3], rows)
    scores = counted(predicted.astype(float), actual.astype(float), "multiclass", names)
    found = quality(scores, "multiclass", 0.5, names).figures
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(actual, predicted))
    macro = metrics.precision_recall_fscore_support(actual, predicted, average="macro", zero_division=0)
    assert [found[f"macro_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(list(macro[:3]))
    weighted = metrics.f1_score(actual, predicted, average="weighted", zero_division=0)
    assert found["weighted_f1"] == pytest.approx(weighted)
    recalls = metrics.recall_score(actual, predicted, average=None, labels=sorted(set(actual)))
    assert found["balanced_accuracy"] == pytest.approx(recalls.mean())
    rows_of = per_class(scores, names)
    matrix = metrics.confusion_matrix(actual, predicted, labels=range(4))
    assert [one["came_true"] for one in rows_of] == matrix.sum(axis=1).tolist()
    assert [one["predicted"] for one in rows_of] == matrix.sum(axis=0).tolist()


def test_outcomes_that_name_no_class_are_counted() -> None:
    scores = counted(np.array([0.0, 1, np.nan, 1]), np.array([0.0, 2, 1, 0.5]), "multiclass", ("no", "yes"))
    found = quality(scores, "multiclass", 0.5, ("no", "yes"))
    assert (found.cases, found.invalid, found.unscored, found.figures["accuracy"]) == (1, 2, 1, 1.0)
    empty = quality(counted(np.empty(0), np.empty(0), "multiclass", ("a", "b")), "multiclass", 0.5, ("a", "b"))
    assert (empty.cases, empty.figures) == (0, {})
