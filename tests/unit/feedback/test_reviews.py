"""Reviews: what is drawn, and that the estimate is unbiased and its interval covers the truth as often as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feedback.domain.reviews import Looked, allocate, by_score, clopper_pearson, estimate, uncertainty

RUNS = 600


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0, 10)), min_size=1, max_size=12),
    st.integers(1, 600),
)
def test_what_is_drawn_adds_up_and_leaves_no_stratum_out(strata: list[tuple[int, float]], drawn: int) -> None:
    sizes, weights = [size for size, _ in strata], [weight for _, weight in strata]
    taken = allocate(sizes, weights, drawn)
    least = sum(min(size, 2) for size in sizes)
    assert sum(taken) == max(min(drawn, sum(sizes)), least)
    assert all(min(size, 2) <= one <= size for size, one in zip(sizes, taken, strict=True))


def test_more_is_drawn_where_the_weight_is() -> None:
    assert allocate([1_000, 1_000], [1, 3], 100) == [26, 74]
    assert allocate([10, 1_000], [100, 1], 100) == [10, 90]


def test_strata_by_score_are_equally_large_and_keep_equals_together() -> None:
    assert by_score(np.array([0.1, 0.9, 0.5, 0.3]), 2).tolist() == [0, 1, 1, 0]
    assert by_score(np.full(10, 0.5), 5).tolist() == [0] * 10


def test_uncertainty_is_nearness_to_the_threshold() -> None:
    assert uncertainty(np.array([0.5, 0.0, 0.75]), 0.5).tolist() == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(
    ("wrong", "sizes", "weights", "drawn"),
    [
        ([0.02, 0.05, 0.1, 0.3, 0.5], [2_000] * 5, [1, 1, 1, 1, 1], 200),
        ([0.02, 0.05, 0.1, 0.3, 0.5], [2_000] * 5, [0.1, 0.2, 0.4, 0.7, 1], 200),
        ([0.01] * 5, [2_000] * 5, [0.1, 0.2, 0.4, 0.7, 1], 200),
        ([0.0, 0.0, 0.01, 0.05, 0.2], [8_000, 4_000, 2_000, 1_000, 500], [0.1, 0.2, 0.4, 0.7, 1], 150),
        ([0.005] * 10, [1_000] * 10, [1] * 10, 100),
        ([0.9, 0.95, 0.99], [300] * 3, [1] * 3, 60),
        ([0.3], [500], [1], 50),
    ],
)
def test_the_interval_covers_the_true_error_rate_at_the_stated_level(
    wrong: list[float], sizes: list[int], weights: list[float], drawn: int, level: float
) -> None:
    draw = np.random.default_rng(7)
    bad = [round(share * size) for share, size in zip(wrong, sizes, strict=True)]
    true, taken = sum(bad) / sum(sizes), allocate(sizes, weights, drawn)
    covered, rates = 0, []
    for _ in range(RUNS):
        strata = {
            str(place): Looked(size, n, int(draw.hypergeometric(hits, size - hits, n)))
            for place, (size, hits, n) in enumerate(zip(sizes, bad, taken, strict=True))
        }
        found = estimate(strata, level)
        assert found is not None
        rates.append(found.rate)
        covered += found.low <= true <= found.high
    noise = 3 * (level * (1 - level) / RUNS) ** 0.5
    assert covered / RUNS >= level - noise
    assert np.mean(rates) == pytest.approx(true, abs=4 * np.std(rates) / RUNS**0.5 + 1e-12)


def test_all_looked_at_leaves_nothing_to_guess_and_nothing_looked_at_says_nothing() -> None:
    found = estimate({"a": Looked(10, 10, 3)})
    assert found is not None
    assert (found.rate, found.low, found.high) == (0.3, 0.3, 0.3)
    assert estimate({"a": Looked(10, 0, 0)}) is None
    part = estimate({"a": Looked(10, 5, 1), "b": Looked(30, 0, 0)})
    assert part is not None
    assert part.covered == 0.25


def test_the_exact_interval_is_scipys() -> None:
    from scipy.stats import binomtest

    theirs = binomtest(3, 40).proportion_ci(0.9, method="exact")
    assert clopper_pearson(3, 40, 0.9) == pytest.approx((theirs.low, theirs.high))
