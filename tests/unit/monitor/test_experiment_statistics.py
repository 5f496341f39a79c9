"""Ten thousand simulated experiments, looked at again and again: no more false winners than stated, and the power."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from services.monitor.domain import experiment_statistics as statistics
from services.monitor.domain.experiment_statistics import (
    MIN_CASES,
    RATIO_LEVEL,
    half_width,
    moments,
    p_value,
    planned_cases,
    ratio_p_value,
    squared_error,
)

EXPERIMENTS = 10_000
LOOKS = 50
FLIGHTS = (0.0, 60.0, 300.0, 0.0)
RARE = (0.0, 60.0, 3000.0, 0.0)


class Told(NamedTuple):
    """Shares of the experiments that said, at some look, that the treatment is better, or worse."""

    better: float
    worse: float


def simulated(
    control: tuple[float, ...],
    treatment: tuple[float, ...],
    costs: tuple[float, ...] = FLIGHTS,
    share: float = 0.5,
    effect: float = 5.0,
    cases: int = 20_000,
    level: float = 0.05,
) -> Told:
    """Experiments whose cases are of the four kinds with these chances, looked at LOOKS times on the way."""
    rng, cost = np.random.default_rng(7), np.asarray(costs)
    base, other = np.zeros((EXPERIMENTS, 4)), np.zeros((EXPERIMENTS, 4))
    better, worse = np.zeros(EXPERIMENTS, bool), np.zeros(EXPERIMENTS, bool)
    for _ in range(LOOKS):
        treated = rng.binomial(math.ceil(cases / LOOKS), share, EXPERIMENTS)
        base += rng.multinomial(math.ceil(cases / LOOKS) - treated, control)
        other += rng.multinomial(treated, treatment)
        (base_cases, base_mean, base_variance), (count, mean, variance) = moments(base, cost), moments(other, cost)
        width = half_width(squared_error(count, variance, base_cases, base_variance), effect, level)
        better |= mean - base_mean < -width
        worse |= mean - base_mean > width
    return Told(float(better.mean()), float(worse.mean()))


@pytest.mark.parametrize(
    ("kinds", "costs", "share", "cases"),
    [
        ((0.1, 0.1, 0.1, 0.7), FLIGHTS, 0.5, 20_000),
        ((0.1, 0.1, 0.1, 0.7), FLIGHTS, 0.05, 40_000),
        ((0.004, 0.01, 0.003, 0.983), RARE, 0.1, 40_000),
    ],
)
def test_peeking_at_10_000_a_a_experiments_finds_no_more_winners_than_stated(kinds, costs, share, cases) -> None:
    told = simulated(kinds, kinds, costs, share, cases=cases)
    assert told.better + told.worse <= 0.05


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_an_effect_of_the_minimum_is_seen_with_the_stated_power(share: float) -> None:
    control, effect = (0.1, 0.1, 0.1, 0.7), 5.0
    saved = effect / 300
    treatment = (0.1, 0.1, 0.1 - saved, 0.7 + saved)
    _, _, variance = moments(np.array(control) * 1e9, np.array(FLIGHTS))
    cases, _ = planned_cases((float(variance), float(variance)), (1 - share, share), effect, 0.05, 0.8)
    told = simulated(control, treatment, share=share, effect=effect, cases=cases)
    assert told.better >= 0.8
    assert told.worse <= 0.001


def test_a_fixed_horizon_test_read_at_every_look_would_find_three_times_the_stated_winners() -> None:
    """So that the first test is seen to test something."""
    rng, cost = np.random.default_rng(7), np.asarray(FLIGHTS)
    arms = [np.zeros((2_000, 4)), np.zeros((2_000, 4))]
    found = np.zeros(2_000, bool)
    for _ in range(LOOKS):
        for arm in arms:
            arm += rng.multinomial(200, (0.1, 0.1, 0.1, 0.7), 2_000)
        (count, mean, variance), (other, base, spread) = (moments(arm, cost) for arm in arms)
        found |= np.abs(mean - base) > 1.96 * np.sqrt(variance / count + spread / other)
    assert found.mean() > 0.15


def test_an_even_sample_ratio_is_seldom_called_a_mismatch_and_a_skewed_one_is() -> None:
    rng, shares = np.random.default_rng(3), np.array([0.8, 0.2])
    false = np.zeros(EXPERIMENTS, bool)
    counts = np.zeros((EXPERIMENTS, 2), np.int64)
    for _ in range(LOOKS):
        treated = rng.binomial(1_000, 0.2, EXPERIMENTS)
        counts += np.stack([1_000 - treated, treated], 1)
        false |= ratio_p_value(counts, shares) < RATIO_LEVEL
    assert false.mean() <= RATIO_LEVEL
    skewed = rng.binomial(50_000, 0.215, EXPERIMENTS)
    assert (ratio_p_value(np.stack([50_000 - skewed, skewed], 1), shares) < RATIO_LEVEL).mean() > 0.99


def test_three_arms_have_a_sample_ratio_too() -> None:
    shares = np.array([0.6, 0.2, 0.2])
    assert float(ratio_p_value(np.array([6_000, 2_000, 2_000]), shares)) == 1.0
    assert float(ratio_p_value(np.array([6_000, 2_400, 1_600]), shares)) < RATIO_LEVEL


@given(st.floats(1e-3, 1e6))
@settings(max_examples=200, deadline=None)
def test_the_log_gamma_is_scipys(value: float) -> None:
    found = float(statistics._log_gamma(np.float64(value)))  # type: ignore[arg-type]
    assert found == pytest.approx(float(gammaln(value)), rel=1e-11, abs=1e-10)


@given(st.floats(-50, 50), st.floats(1e-4, 100), st.floats(0.1, 20), st.sampled_from([0.001, 0.05, 0.2]))
@settings(max_examples=200, deadline=None)
def test_the_p_value_is_below_the_level_exactly_where_the_interval_leaves_zero_out(
    difference, squared, effect, level
) -> None:
    width = float(half_width(np.float64(squared), effect, level))  # type: ignore[arg-type]
    chance = float(p_value(np.float64(difference), np.float64(squared), effect))  # type: ignore[arg-type]
    if abs(abs(difference) - width) > 1e-9 * width:
        assert (chance < level) == (abs(difference) > width)


def test_nothing_is_said_of_too_few_cases() -> None:
    few = squared_error(np.array([MIN_CASES - 1.0]), np.array([1.0]), np.array([1e6]), np.array([1.0]))
    assert (half_width(few, 1.0, 0.05)[0], p_value(np.array([9.0]), few, 1.0)[0]) == (np.inf, 1.0)


def test_mean_and_variance_are_those_of_the_cases_and_the_imaginary_ones() -> None:
    counts = np.array([3.0, 5.0, 1.0, 40.0])
    cases, mean, variance = moments(counts, np.array(FLIGHTS))
    told = np.repeat(FLIGHTS, (counts + statistics.PRIOR_CASES).astype(int))
    assert (cases, mean) == (49.0, pytest.approx(600 / 49))
    assert variance == pytest.approx(told.var(ddof=1))
