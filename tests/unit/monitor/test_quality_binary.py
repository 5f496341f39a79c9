"""Figures of yes-or-no questions against scikit-learn and SciPy, on scores and outcomes of every kind."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression

from services.monitor.domain.joined import NEGATIVE, POSITIVE
from services.monitor.domain.quality import (
    calibration,
    chances,
    confusion,
    estimated,
    intervals,
    quality,
    threshold_cell,
)
from services.monitor.domain.quality.binary import MIDDLES, tied_pairs
from services.monitor.domain.quality.estimate import isotonic
from services.monitor.domain.scored import EDGES, cells_in
from tests.unit.monitor.judged_rows import binary_rows, counted

SHARES = ("accuracy", "precision", "recall", "f1", "base_rate", "selection_rate", "specificity")


@given(binary_rows(), st.integers(0, 1_001))
@settings(max_examples=120, deadline=None)
def test_the_confusion_and_its_shares_are_exact_at_every_thousandth(rows, cell) -> None:
    score, truth = rows
    threshold = cell / 1_000
    found = quality(counted(score, truth), "binary", threshold).figures
    called = score >= threshold
    tn, fp, fn, tp = metrics.confusion_matrix(truth, called, labels=[0, 1]).ravel()
    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    assert [found[name] for name in names] == [tn, fp, fn, tp]
    expected = {
        "accuracy": metrics.accuracy_score(truth, called),
        "base_rate": truth.mean(),
        "selection_rate": called.mean(),
        "precision": metrics.precision_score(truth, called, zero_division=np.nan),
        "recall": metrics.recall_score(truth, called, zero_division=np.nan),
        "specificity": metrics.recall_score(1 - truth, ~called, zero_division=np.nan),
        "f1": metrics.f1_score(truth, called, zero_division=np.nan),
    }
    for name in SHARES:
        if math.isnan(expected[name]):
            assert name not in found
        else:
            assert found[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-12)
    if 0 < truth.mean() < 1 and 0 < called.mean() < 1:
        assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, called), abs=1e-9)
        assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, called))
    else:
        assert "mcc" not in found


@given(binary_rows())
@settings(max_examples=120, deadline=None)
def test_scores_are_judged_as_scikit_learn_does_within_the_stated_bounds(rows) -> None:
    score, truth = rows
    found = quality(counted(score, truth), "binary", 0.5)
    assert found.figures["brier"] == pytest.approx(((score - truth) ** 2).mean(), rel=1e-9, abs=1e-15)
    loss = metrics.log_loss(truth, score, labels=[0, 1])
    assert found.figures["log_loss"] == pytest.approx(loss, rel=1e-9, abs=1e-15)
    if 0 < truth.mean() < 1:
        off = abs(found.figures["auc"] - metrics.roc_auc_score(truth, score))
        assert off <= found.bounds["auc"] + 1e-9
    else:
        assert "auc" not in found.figures
    assert abs(found.figures["mean_score"] - score.mean()) <= found.bounds["mean_score"] + 1e-9
    assert abs(found.figures["ece"] - ece(score, truth)) <= found.bounds["ece"] + 1e-9


def ece(score: np.ndarray, truth: np.ndarray) -> float:
    """Over ten bins of equal width, each holding its lower edge."""
    bins = np.minimum(cells_in(score) // 100, 9)
    return sum(abs((score - truth)[bins == place].sum()) for place in range(10)) / len(score)


def test_scores_apart_by_a_thousandth_have_an_exact_auc() -> None:
    rng = np.random.default_rng(5)
    score = rng.permutation(1_000) / 1_000
    truth = (rng.random(1_000) < 0.3).astype(float)
    found = quality(counted(score, truth), "binary", 0.5)
    assert found.bounds["auc"] == 0
    assert found.figures["auc"] == pytest.approx(metrics.roc_auc_score(truth, score), abs=1e-10)


@given(st.floats(0, 1), st.integers(0, 1_000))
def test_a_scores_cell_is_exact_at_every_thousandth(score: float, k: int) -> None:
    for value in (score, float(EDGES[k]), float(np.nextafter(EDGES[k], 0)), float(np.nextafter(EDGES[k], 2))):
        if 0 <= value <= 1:
            (cell,) = cells_in(np.array([value]))
            assert (value >= k / 1_000) == (cell >= k)


def test_scores_that_are_no_probabilities_have_no_cell() -> None:
    assert cells_in(np.array([-0.1, 1.1, np.nan, np.inf, 0.0, 1.0])).tolist() == [-1, -1, -1, -1, 0, 1_000]


@pytest.mark.parametrize(
    ("threshold", "cell"), [(0.3, 300), (0.3001, 301), (0.0, 0), (1.0, 1000), (2.0, 1001), (0.29, 290)]
)
def test_a_threshold_is_a_thousandth_or_the_next_above(threshold: float, cell: int) -> None:
    assert threshold_cell(threshold) == cell


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_shares_interval_is_scipys_wilson(part: int, more: int) -> None:
    whole = part + more
    if not whole:
        return
    expected = stats.binomtest(part, whole).proportion_ci(method="wilson")
    assert intervals.wilson(part, whole) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_means_interval_is_scipys_t() -> None:
    values = np.array([3.0, 4.5, 1.0, 8.0])
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert intervals.of_mean(values.mean(), values.var(ddof=1), 4) == pytest.approx(expected)


def delong(score: np.ndarray, truth: np.ndarray) -> float:
    """DeLong's variance straight from the pairs."""
    positive, negative = score[truth == 1], score[truth == 0]
    pairs = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return pairs.mean(1).var(ddof=1) / len(positive) + pairs.mean(0).var(ddof=1) / len(negative)


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_an_auc_is_delongs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 40, 200) / 40
    truth = (rng.random(200) < score).astype(float)
    found = quality(counted(score, truth), "binary", 0.5)
    low, high = found.intervals["auc"]
    assert (high - low) / 2 == pytest.approx(1.959964 * math.sqrt(delong(score, truth)), rel=1e-6)
    assert (low + high) / 2 == pytest.approx(found.figures["auc"], abs=1e-9)


def test_the_interval_of_an_auc_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    area, held = float(stats.norm.cdf(1 / math.sqrt(2))), 0
    for _ in range(400):
        raw = np.concatenate([rng.normal(0, 1, 60), rng.normal(1, 1, 60)])
        score = 1 / (1 + np.exp(-raw))
        low, high = quality(counted(score, np.repeat([0.0, 1.0], 60)), "binary", 0.5).intervals["auc"]
        held += low <= area <= high
    assert 0.92 <= held / 400 <= 0.98


def test_classes_that_do_not_overlap_leave_a_doubt_about_the_auc() -> None:
    found = quality(counted(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0, 1, 1])), "binary", 0.5)
    low, high = found.intervals["auc"]
    assert (found.figures["auc"], high) == (1.0, 1.0)
    assert 0.3 < low < 0.8
    single = quality(counted(np.array([0.1, 0.9, 0.2]), np.array([0.0, 1, 0])), "binary", 0.5).intervals["auc"]
    assert single[0] < 0.8


@given(binary_rows())
@settings(max_examples=60, deadline=None)
def test_every_interval_holds_its_figure(rows) -> None:
    score, truth = rows
    found = quality(counted(score, truth), "binary", 0.5)
    for name, (low, high) in found.intervals.items():
        assert low - 1e-9 <= found.figures[name] <= high + 1e-9, name


def test_an_interval_of_f1_is_as_wide_as_its_spread_over_samples() -> None:
    rng = np.random.default_rng(2)
    share = 0.3 * 0.7 / (0.3 * 0.7 + 0.3 * 0.3 + 0.7 * 0.2)
    true_f1, held = 2 * share / (1 + share), 0
    for _ in range(400):
        truth = rng.random(300) < 0.3
        called = np.where(truth, rng.random(300) < 0.7, rng.random(300) < 0.2)
        low, high = quality(counted(called.astype(float), truth.astype(float)), "binary", 0.5).intervals["f1"]
        held += low <= true_f1 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_outcomes_that_are_no_answer_are_counted_and_change_nothing() -> None:
    rng = np.random.default_rng(1)
    score = rng.random(200)
    truth = (rng.random(200) < score).astype(float)
    clean = quality(counted(score, truth), "binary", 0.3)
    more = np.concatenate([score, [0.4, 0.5, np.nan, 1.5]])
    found = quality(counted(more, np.concatenate([truth, [7.0, -1.0, 1.0, 0.0]])), "binary", 0.3)
    assert (found.task, found.cases, found.invalid, found.unscored) == ("binary", 200, 2, 2)
    assert found.figures == clean.figures


def test_without_cases_there_are_no_figures() -> None:
    found = quality(counted(np.array([np.nan, 0.5]), np.array([1.0, 3.0])), "binary", 0.5)
    assert (found.cases, found.invalid, found.unscored, found.figures) == (0, 1, 1, {})


def test_calibration_says_what_share_came_true_per_tenth() -> None:
    groups = calibration(counted(np.array([0.05, 0.05, 0.95, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])))
    shown = [(one["from"], one["to"], one["cases"], one["share"]) for one in groups]
    assert shown == [(0, 0.1, 2, 0.5), (0.9, 1, 2, 1)]
    assert groups[1]["mean_score"] == pytest.approx(0.975, abs=0.001)
    assert groups[0]["low"] < 0.5 < groups[0]["high"]


def test_calibration_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    score = rng.uniform(0, 1, 5_000)
    truth = (rng.random(5_000) < score**2).astype(float)
    share, mean = calibration_curve(truth, score, n_bins=10)
    groups = calibration(counted(score, truth))
    assert [one["share"] for one in groups] == pytest.approx(share.tolist())
    assert [one["mean_score"] for one in groups] == pytest.approx(mean.tolist(), abs=0.0005)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1, max_size=40))
def test_isotonic_regression_is_scikit_learns(pairs) -> None:
    values, weights = np.array([one for one, _ in pairs]), np.array([float(one) for _, one in pairs])
    expected = IsotonicRegression().fit_transform(np.arange(len(values)), values, sample_weight=weights)
    assert isotonic(values, weights) == pytest.approx(expected, abs=1e-9)


def past_and_now(seed: int, wrong: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores and outcomes; `wrong`: scores that say half of the chance."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(2, 5, 20_000)
    return (chance / 2 if wrong else chance), (rng.random(20_000) < chance).astype(float)


@pytest.mark.parametrize("wrong", [False, True])
def test_an_estimate_without_outcomes_comes_near_what_they_say(wrong: bool) -> None:
    past, now = counted(*past_and_now(1, wrong)), past_and_now(2, wrong)
    unknown = counted(np.empty(0), np.empty(0))
    unknown.cells[2] = np.bincount(cells_in(now[0]), minlength=1_001)
    found = estimated(unknown, chances(past), 0.3)
    truth = quality(counted(*now), "binary", 0.3).figures
    for name in ("auc", "accuracy", "recall", "precision", "base_rate", "brier"):
        assert found[name] == pytest.approx(truth[name], abs=0.02), name
    assert found["selection_rate"] == pytest.approx(truth["selection_rate"], abs=1e-9)


def test_too_few_outcomes_calibrate_nothing() -> None:
    assert chances(counted(np.full(299, 0.2), np.ones(299))) is MIDDLES
    assert estimated(counted(np.empty(0), np.empty(0)), MIDDLES, 0.5) == {}


def test_the_bound_of_an_auc_is_the_share_of_pairs_in_one_cell() -> None:
    scores = counted(np.array([0.5001, 0.5002, 0.9]), np.array([0.0, 1.0, 1.0]))
    assert tied_pairs(scores.cells[NEGATIVE], scores.cells[POSITIVE]) == 0.5
    assert confusion(scores, 0.5).cases == 3
