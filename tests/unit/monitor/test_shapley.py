"""Contributions add up, equal the exact Shapley values, and are the same for the same seed."""

import os

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from services.monitor.explaining.shapley import Shapley, TooSlow, TooWide, explain
from shared.models.frames import Columns, Frame

RNG = np.random.default_rng(3)
SECONDS = 250.0
"""Long enough for a loaded machine."""


def product(frame: Frame) -> np.ndarray:
    """A model with interactions: the product of the first two, plus half of the third, plus 1 for text `x`."""
    columns = list(frame.columns.values())
    return columns[0] * columns[1] + 0.5 * columns[2] + (columns[3] == "x")


def background(rows: int = 20) -> Columns:
    numbers = {name: RNG.normal(size=rows).round(3) for name in ("a", "b", "c")}
    return {**numbers, "d": np.array(["x", "y"] * (rows // 2), np.object_)}


ROW: Columns = {
    "a": np.array([2.0]),
    "b": np.array([-1.5]),
    "c": np.array([4.0]),
    "d": np.array(["x"], np.object_),
}


def by_hand(row: Columns, rows: Columns) -> dict[str, float]:
    """Shapley's formula over all coalitions, absent features from the background."""
    names = list(row)
    count = len(next(iter(rows.values())))

    def value(present: tuple[str, ...]) -> float:
        mixed = {name: np.repeat(row[name], count) if name in present else rows[name] for name in names}
        return float(product(Frame(count, mixed)).mean())

    found: dict[str, float] = {}
    for name in names:
        others = [one for one in names if one != name]
        found[name] = sum(
            factorial(len(some))
            * factorial(len(others) - len(some))
            / factorial(len(names))
            * (value((*some, name)) - value(some))
            for size in range(len(others) + 1)
            for some in combinations(others, size)
        )
    return found


def linear(names: list[str], weights: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda frame: np.sum([frame.columns[name] * weight for name, weight in zip(names, weights, strict=True)], 0)


def test_few_features_get_exactly_shapleys_values() -> None:
    rows = background()
    found = explain(product, ROW, rows, 1, 100_000, SECONDS)
    expected = by_hand(ROW, rows)
    assert found.method.startswith("exact")
    for name, value in expected.items():
        assert found.values[name] == pytest.approx(value, abs=1e-9)
    assert found.base + sum(found.values.values()) == pytest.approx(found.answer, abs=1e-9)


def many(seed: int, evaluations: int = 50_000) -> Shapley:
    rng = np.random.default_rng(5)
    names = [f"f{number:02}" for number in range(25)]
    rows = {name: rng.normal(size=40) for name in names}
    row = {name: rng.normal(size=1) for name in names}
    weights = rng.normal(size=25)
    curved = linear(names, weights)
    return explain(lambda frame: 1 / (1 + np.exp(-curved(frame))), row, rows, seed, evaluations, SECONDS)


def test_many_features_add_up_and_follow_their_seed() -> None:
    found = many(7)
    assert "sampled permutations" in found.method
    assert found.base + sum(found.values.values()) == pytest.approx(found.answer, abs=1e-9)
    assert many(7).values == found.values
    assert many(8).values != found.values


def test_of_a_linear_model_every_permutation_gives_weight_times_distance_from_the_mean() -> None:
    rng = np.random.default_rng(9)
    names = [f"f{number}" for number in range(12)]
    rows, row = {name: rng.normal(size=30) for name in names}, {name: rng.normal(size=1) for name in names}
    weights = rng.normal(size=12)
    found = explain(linear(names, weights), row, rows, 1, 100_000, SECONDS)
    for name, weight in zip(names, weights, strict=True):
        assert found.values[name] == pytest.approx(weight * (row[name][0] - rows[name].mean()), abs=1e-9)


def test_missing_values_reach_the_model_and_equal_ones_contribute_nothing() -> None:
    rows: Columns = {"a": np.array([np.nan, 1.0]), "b": np.array([3, 3])}
    row: Columns = {"a": np.array([np.nan]), "b": np.array([3])}
    seen: list[np.dtype] = []

    def model(frame: Frame) -> np.ndarray:
        seen.append(frame.columns["b"].dtype)
        return np.where(np.isnan(frame.columns["a"]), 5.0, frame.columns["a"]) + frame.columns["b"]

    found = explain(model, row, rows, 1, 1_000, SECONDS)
    assert found.values == {"a": pytest.approx(2.0), "b": 0.0}
    assert set(seen) == {np.dtype(np.int64)}


def test_the_number_of_questions_stays_below_the_limit_or_the_explanation_is_refused() -> None:
    asked = many(1, evaluations=600).evaluations
    assert asked <= 600 + 51  # those of the answer itself and of the reference's outputs come on top
    with pytest.raises(TooWide, match="questions"):
        many(1, evaluations=500)


def test_a_slow_model_is_given_up() -> None:
    with pytest.raises(TooSlow):
        explain(product, ROW, background(), 1, 100_000, -1)
