"""Fairness against fairlearn and scikit-learn, on groups of every kind."""

import math

import numpy as np
import pytest
from fairlearn import metrics as fair
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from services.monitor.domain.fairness import (
    MIN_PREDICTIONS,
    Rate,
    disparities,
    four_fifths,
    gaps,
    group_of,
    reference_of,
)
from services.monitor.domain.quality import intervals
from services.monitor.domain.scored import cells_in
from tests.unit.monitor.judged_rows import KINDS, counted, scores_like


@st.composite
def grouped_rows(draw):
    """(scores, outcomes, group of each row); every group has enough rows and both outcomes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = ["a", "b", "c", "d"][: draw(st.integers(2, 4))]
    sizes = [draw(st.integers(MIN_PREDICTIONS, 120)) for _ in names]
    kind = draw(st.sampled_from(KINDS))
    score = np.concatenate([scores_like(kind, size, rng) for size in sizes])
    truth = (rng.random(len(score)) < 0.4).astype(float)
    group = np.repeat(names, sizes)
    for name in names:
        truth[np.flatnonzero(group == name)[:2]] = 0, 1
    return score, truth, group


def groups_of(score, truth, group, threshold):
    found = []
    for name in sorted(set(group.tolist())):
        rows = group == name
        scores = counted(score[rows], truth[rows])
        scores.tallies[0] = rows.sum()
        scores.cells[2] = np.bincount(cells_in(score[rows]), minlength=1_001)
        found.append(group_of(name, scores, threshold))
    return found


@given(grouped_rows(), st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_disparities_are_fairlearns(rows, cell: int) -> None:
    score, truth, group = rows
    threshold = cell / 1_000
    called = (score >= threshold).astype(int)
    found = disparities(groups_of(score, truth, group, threshold))
    expected = {
        "demographic_parity_difference": fair.demographic_parity_difference,
        "equalized_odds_difference": fair.equalized_odds_difference,
        "equal_opportunity_difference": fair.equal_opportunity_difference,
        "demographic_parity_ratio": fair.demographic_parity_ratio,
        "equalized_odds_ratio": fair.equalized_odds_ratio,
        "equal_opportunity_ratio": fair.equal_opportunity_ratio,
    }
    for name, theirs in expected.items():
        value = theirs(truth, called, sensitive_features=group)
        if math.isnan(value):  # 0 over 0: nobody is selected, so all are treated alike
            assert found[name] == 1.0 or name == "equalized_odds_ratio"
        else:
            assert found[name] == pytest.approx(value, abs=1e-9), name


@given(grouped_rows())
@settings(max_examples=10, deadline=None)
def test_rates_by_group_are_scikit_learns(rows) -> None:
    score, truth, group = rows
    called = (score >= 0.3).astype(int)
    frame = fair.MetricFrame(
        metrics={
            "selection_rate": fair.selection_rate,
            "true_positive_rate": fair.true_positive_rate,
            "false_positive_rate": fair.false_positive_rate,
            "false_negative_rate": fair.false_negative_rate,
            "precision": lambda y, p: metrics.precision_score(y, p, zero_division=np.nan),
            "error_rate": lambda y, p: metrics.zero_one_loss(y, p),
        },
        y_true=truth,
        y_pred=called,
        sensitive_features=group,
    )
    for one in groups_of(score, truth, group, 0.3):
        for name, value in frame.by_group.loc[one.name].items():
            assert one.rates[name].value == pytest.approx(value, abs=1e-12, nan_ok=True), name
        assert one.rates["base_rate"].value == truth[group == one.name].mean()


def test_a_group_is_compared_with_the_one_wanted_or_the_largest() -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(["small", "large"], [100, 300])
    groups = groups_of(rng.random(400), (rng.random(400) < 0.5).astype(float), group, 0.5)
    large = reference_of(groups, None)
    assert large is not None
    assert large.name == "large"
    small = reference_of(groups, "small")
    assert small is not None
    assert small.name == "small"
    assert reference_of([], None) is None
    found = {gap.rate: gap for gap in gaps(small, large)}
    one, other = small.rates["selection_rate"], large.rates["selection_rate"]
    gap = found["selection_rate"]
    assert gap.difference == one.value - other.value
    assert gap.difference_interval[0] < gap.difference < gap.difference_interval[1]
    assert gap.ratio_interval[0] < gap.ratio < gap.ratio_interval[1]
    assert all(gap.difference == 0 for gap in gaps(large, large) if not math.isnan(gap.difference))


def test_the_interval_of_a_ratio_is_scipys() -> None:
    low, high = intervals.ratio(30, 100, 50, 120)
    expected = stats.contingency.relative_risk(30, 100, 50, 120).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert all(math.isnan(end) for end in intervals.ratio(0, 10, 5, 10))


def test_the_interval_of_a_difference_is_newcombes() -> None:
    # Newcombe 1998, table II, row (a): 56/70 - 48/80, method 10
    assert intervals.difference(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    # and row (e): 10/10 - 0/10
    assert intervals.difference(10, 10, 0, 10) == pytest.approx((0.6075, 1.0), abs=5e-4)


def rates(**selected: tuple[int, int]):
    """Groups of so many selected of so many."""
    found = []
    for name, (part, whole) in selected.items():
        score = np.where(np.arange(whole) < part, 0.9, 0.1)
        scores = counted(score, np.zeros(whole))
        scores.tallies[0] = whole
        scores.cells[2] = np.bincount(cells_in(score), minlength=1_001)
        found.append(group_of(name, scores, 0.5))
    return found


def test_four_fifths_of_the_highest_rate_are_the_line() -> None:
    found = {one.group: one for one in four_fifths(rates(top=(500, 1000), even=(400, 1000), low=(300, 1000)))}
    assert (found["even"].ratio, found["even"].adverse) == (0.8, False)
    assert (found["low"].ratio, found["low"].adverse, found["low"].certain) == (0.6, True, True)
    assert found["low"].highest == "top"
    few = {one.group: one for one in four_fifths(rates(top=(20, 40), low=(14, 40)))}
    assert (few["low"].adverse, few["low"].certain) == (True, False)


def test_a_group_of_whom_nobody_is_favoured_is_adverse() -> None:
    (found,) = four_fifths(rates(top=(500, 1000), none=(0, 1000)))
    assert (found.group, found.ratio, found.adverse, found.certain) == ("none", 0.0, True, True)
    (alike,) = four_fifths(rates(a=(0, 100), b=(0, 100)))
    assert (alike.ratio, alike.adverse) == (1.0, False)


def test_what_is_bad_for_a_person_is_counted_the_other_way() -> None:
    groups = rates(watched=(300, 1000), spared=(100, 1000))
    (good,) = four_fifths(groups, "positive")
    (bad,) = four_fifths(groups, "negative")
    assert (good.group, good.adverse) == ("spared", True)
    assert (bad.group, round(bad.ratio, 3), bad.adverse) == ("watched", 0.778, True)


def test_groups_too_small_to_tell_are_not_flagged() -> None:
    groups = rates(top=(500, 1000), tiny=(0, MIN_PREDICTIONS - 1))
    assert four_fifths(groups) == []
    assert disparities(groups) == {}
    assert math.isnan(Rate(0, 0).value)
