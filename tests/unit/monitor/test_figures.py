"""Figures against scikit-learn and NumPy, computed there from the rows and here from the window's state."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from services.monitor.domain.bins import bins_of
from services.monitor.domain.drift import EPSILON, GROUPS, drift, group_starts, psi
from services.monitor.domain.experiment import Arm, Comparison, compare, mean_and_variance, winner
from services.monitor.domain.joined import joined_of
from services.monitor.domain.kpi import Kpi, score_column, threshold_of, value, values
from services.monitor.domain.quality import Confusion, calibration, confusion, quality, threshold_cell
from services.monitor.domain.sketch import EMPTY, Categories, Joined, Numbers, Sketch
from shared.events.registry import Field, Formula, Signature

COST = Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0, true_positive=5.0)
KPI = Kpi("cost", "USD", "lower", 40.0, COST)


def sample(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, Joined]:
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 3, rows)
    truth = (rng.random(rows) < score).astype(float)
    truth[:2] = 0, 1
    return score, truth, joined_of(("p",), score[None, :], truth, np.ones(rows, np.int64))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_binary_figures_agree_with_scikit_learn(seed: int) -> None:
    score, truth, joined = sample(seed)
    found = quality(joined, "p", 0.3)
    predicted = score >= 0.3
    tn, fp, fn, tp = metrics.confusion_matrix(truth, predicted, labels=[0, 1]).ravel()
    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    assert [found[name] for name in names] == [tn, fp, fn, tp]
    negative, positive = joined.cells[0]
    ties = (negative * positive).sum() / (negative.sum() * positive.sum())
    assert abs(found["auc"] - metrics.roc_auc_score(truth, score)) <= ties / 2 + 1e-9
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(truth, score), abs=1e-9)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, score), abs=1e-9)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found["precision"] == pytest.approx(metrics.precision_score(truth, predicted))
    assert found["recall"] == pytest.approx(metrics.recall_score(truth, predicted))


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_score_that_is_sure_and_wrong_costs_as_much_as_in_scikit_learn(score: float) -> None:
    scores, truth = np.array([score, 0.5]), np.array([1 - score, 1.0])
    found = quality(joined_of(("p",), scores[None, :], truth, np.ones(2, np.int64)), "p", 0.5)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, scores, labels=[0, 1]), rel=1e-9)


def test_regression_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(10, 4, 300)
    score = truth + rng.normal(1, 2, 300)
    found = quality(joined_of(("minutes",), score[None, :], truth, np.ones(300, np.int64)), "minutes", 0.5)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, score))
    assert found["rmse"] == pytest.approx(math.sqrt(metrics.mean_squared_error(truth, score)))
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, score))
    assert found["bias"] == pytest.approx((score - truth).mean())
    assert confusion(joined_of(("m",), score[None, :], truth, np.ones(300, np.int64)), "m", 0.5) is None


def test_without_outcomes_or_scores_there_are_no_figures() -> None:
    assert quality(EMPTY.joined, "p", 0.5) == {}
    unknown = joined_of(("p",), np.array([[np.nan]]), np.array([1.0]), np.array([1]))
    assert (unknown.outcomes, quality(unknown, "p", 0.5), values([KPI], unknown, "p")) == (1, {}, [])


def test_one_class_alone_has_no_auc() -> None:
    found = quality(joined_of(("p",), np.array([[0.2, 0.4]]), np.array([0.0, 0.0]), np.ones(2, np.int64)), "p", 0.9)
    assert "auc" not in found
    assert "precision" not in found
    assert found["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("threshold", "cell"), [(0.3, 300), (0.3001, 301), (0.0, 0), (1.0, 1000), (2.0, 1001), (0.29, 290)]
)
def test_a_threshold_is_a_thousandth_or_the_next_above(threshold: float, cell: int) -> None:
    assert threshold_cell(threshold) == cell


def test_calibration_says_what_share_came_true_per_tenth() -> None:
    score = np.array([0.05, 0.05, 0.95, 1.0])
    groups = calibration(joined_of(("p",), score[None, :], np.array([0.0, 1.0, 1.0, 1.0]), np.ones(4, np.int64)), "p")
    assert [(one["from"], one["to"], one["cases"], one["share"]) for one in groups] == [
        (0, 0.1, 2, 0.5),
        (0.9, 1, 2, 1),
    ]
    assert groups[1]["mean_score"] == pytest.approx(0.975, abs=0.001)


def reference_psi(now: np.ndarray, reference: np.ndarray) -> float:
    """PSI over tenths of the reference, straight from the values."""
    edges = np.quantile(reference, np.arange(1, GROUPS) / GROUPS)
    p = np.bincount(np.searchsorted(edges, now, side="right"), minlength=GROUPS) / len(now)
    q = np.bincount(np.searchsorted(edges, reference, side="right"), minlength=GROUPS) / len(reference)
    p, q = np.maximum(p, EPSILON), np.maximum(q, EPSILON)
    return float(((p - q) * np.log(p / q)).sum())


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5, 1.0, 3.0])
def test_psi_agrees_with_a_straight_computation(shift: float) -> None:
    from services.monitor.domain.folding import sketch_of  # the same way as a window's rows go

    rng = np.random.default_rng(5)
    reference, now = rng.normal(size=20_000), rng.normal(shift, 1, 20_000)
    bins = bins_of(Signature(inputs=(Field(name="x", type="double"),), outputs=()), {"x": reference.tolist()})
    import pyarrow as pa

    (found,) = drift(sketch_of(pa.record_batch({"feature.x": now}), bins), bins)
    assert found.psi == pytest.approx(reference_psi(now, reference), rel=0.06, abs=0.003)


def test_categories_missing_and_new_values_are_groups_of_their_own() -> None:
    signature = Signature(inputs=(Field(name="c", type="string"),), outputs=())
    bins = bins_of(signature, {"c": ["a"] * 50 + ["b"] * 40 + [None] * 10})
    now = {"c": Categories({"a": 30, "b": 40}, 20, 10)}
    (found,) = drift(Sketch(100, EMPTY.features, now, EMPTY.outputs, EMPTY.joined), bins)
    p, q = np.array([0.3, 0.4, 0.2, 0.1]), np.array([0.5, 0.4, EPSILON, 0.1])
    assert found.psi == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    assert (found.kind, found.rows) == ("categorical", 100)


def test_a_feature_that_went_missing_has_drifted() -> None:
    bins = bins_of(Signature(inputs=(), outputs=()), {"x": [float(x) for x in range(100)]})
    gone = Numbers(("x",), np.array([100]), np.zeros((1, 5)), np.zeros((1, 258), np.int64))
    (found,) = drift(Sketch(100, gone, {}, EMPTY.outputs, EMPTY.joined), bins)
    assert found.psi > 5


@given(st.lists(st.integers(0, 50), min_size=258, max_size=258).filter(any))
@settings(max_examples=50, deadline=None)
def test_groups_cover_all_cells_and_none_is_empty_in_the_reference(counts: list[int]) -> None:
    cells = np.array(counts)
    starts = group_starts(cells)
    assert starts[0] == 0
    assert len(starts) <= GROUPS
    assert (np.add.reduceat(cells, starts) > 0).all()
    assert psi(np.add.reduceat(cells, starts), np.add.reduceat(cells, starts)) == 0


def test_a_cost_is_the_money_of_the_confusion() -> None:
    score, truth, joined = sample(1)
    found = value(KPI, joined, "p")
    assert found is not None
    positive = score >= 0.3
    total = (
        60 * (positive & (truth == 0)).sum()
        + 300 * (~positive & (truth == 1)).sum()
        + 5 * (positive & (truth == 1)).sum()
    )
    assert (found.total, found.cases, found.per_case) == (total, 400, pytest.approx(total / 400))


def test_a_metric_kpi_is_a_figure_by_name_and_targets_have_a_direction() -> None:
    _, _, joined = sample(2)
    found = value(Kpi("auc", "", "higher", 0.99, Formula(kind="metric", metric="auc")), joined, "p")
    assert found is not None
    assert found.per_case == quality(joined, "p", 0.5)["auc"]
    assert value(Kpi("x", "", "higher", None, Formula(kind="metric", metric="nothing")), joined, "p") is None
    assert (KPI.breached(41), KPI.breached(40)) == (True, False)
    assert Kpi("a", "", "higher", 0.7, COST).breached(0.6)
    assert not Kpi("a", "", "higher", None, COST).breached(0.6)


def test_the_score_is_what_a_kpi_names_else_the_first_number() -> None:
    named = Kpi("k", "", "lower", None, Formula(kind="cost", output="q", threshold=0.2))
    assert score_column([named], ["p", "q"]) == "q"
    assert score_column([KPI], ["p", "q"]) == "p"
    assert score_column([KPI], []) is None
    assert (threshold_of([KPI, named]), threshold_of([])) == (0.3, 0.5)


counts = st.builds(Confusion, *[st.integers(0, 60)] * 4, st.just(0.3))


@given(counts, counts)
@settings(max_examples=80, deadline=None)
def test_a_comparison_agrees_with_scipy(champion: Confusion, other: Confusion) -> None:
    def costs(one: Confusion) -> np.ndarray:
        parts: list[Any] = [[5.0] * one.true_positive, [60.0] * one.false_positive, [300.0] * one.false_negative]
        return np.concatenate([*parts, [0.0] * one.true_negative])

    found = compare(COST, Arm(1, champion), Arm(2, other))
    a, b = costs(other), costs(champion)
    if len(a) < 2 or len(b) < 2:
        assert found.p_value is None
        return
    error = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-6)
    if error > 0:
        assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(a.mean() - b.mean()) / error), abs=1e-9)
        assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.975) * error, rel=1e-6)  # type: ignore[operator]


def test_mean_and_variance_of_nothing_are_unknown() -> None:
    assert all(math.isnan(number) for number in mean_and_variance(COST, Confusion(0, 0, 0, 0, 0.3)))


def against(version: int, difference: float, p_value: float | None) -> Comparison:
    return Comparison(version, 100, 1.0, difference, 0.0, 0.0, p_value)


@pytest.mark.parametrize(
    ("others", "direction", "expected"),
    [
        ([], "lower", None),
        ([against(2, -5.0, 0.01)], "lower", 2),
        ([against(2, -5.0, 0.06)], "lower", None),
        ([against(2, -5.0, None)], "lower", None),
        ([against(2, 5.0, 0.01)], "lower", 1),
        ([against(2, 5.0, 0.01)], "higher", 2),
        ([against(2, -5.0, 0.04), against(3, 1.0, 0.5)], "lower", None),
        ([against(2, -5.0, 0.01), against(3, -9.0, 0.02)], "lower", 3),
        ([against(2, 5.0, 0.01), against(3, 1.0, 0.5)], "lower", None),
    ],
)
def test_a_winner_needs_proof_beyond_chance(others: list[Comparison], direction: str, expected: int | None) -> None:
    assert winner(1, others, direction) == expected
