"""When quality got worse: by more than the tolerance, and not by chance. Given figures of a window and of what was
registered, windows before, the champion and bounds, then a level."""

import math
from typing import Any

import numpy as np
import pytest

from services.monitor.alerting.qualities import tolerance_of
from services.monitor.domain.declines import (
    Told,
    Tolerance,
    bases_of,
    declined,
    estimated_quality,
    measured_quality,
    pooled,
)
from services.monitor.domain.joined import NEGATIVE, POSITIVE, PREDICTED
from services.monitor.domain.levels import Level
from services.monitor.domain.quality import chances, estimated_intervals, quality
from services.monitor.domain.quality.binary import MIDDLES, ece, ece_interval
from shared.events.monitor import Finding
from shared.runtime.settings import BadSetting, Settings
from tests.unit.monitor.test_alerts import measured
from tests.unit.monitor.test_quality_binary import counted

TOLERANCE = Tolerance(fall=0.05, growth=0.1, clear=0.8, margin=0.02, bounds={})


def told(half: float = 0.01, cases: float = 1_000, **figures: float) -> Told:
    """Figures, each known to so much."""
    return Told(round(cases), figures, {name: (value - half, value + half) for name, value in figures.items()})


def found(now: Told, tolerance: Tolerance = TOLERANCE, **bases: Any) -> tuple[dict[str, str], bool] | None:
    """(what each figure that fell was compared with, near)."""
    known = bases_of(bases.get("registered", {}), bases.get("past", []), bases.get("champion"))
    level = declined(now, known, tolerance)
    return None if level is None else ({one.name: one.statistic for one in level.over}, level.near)


@pytest.mark.parametrize(
    ("now", "registered", "over", "near"),
    [
        ({"auc": 0.64}, {"auc": 0.7}, {"auc": "reference"}, False),
        ({"auc": 0.655}, {"auc": 0.7}, {}, True),  # nearly as far
        ({"auc": 0.67}, {"auc": 0.7}, {}, False),
        ({"auc": 0.99}, {"auc": 0.7}, {}, False),  # better
        ({"brier": 0.23}, {"brier": 0.2}, {"brier": "reference"}, False),
        ({"brier": 0.21}, {"brier": 0.2}, {}, False),
        ({"mae": 12.0}, {"mae": 10.0}, {"mae": "reference"}, False),
        ({"bias": -1.5}, {"bias": 0.2, "mae": 10.0}, {"bias": "reference"}, False),
        ({"bias": -0.1}, {"bias": 0.2, "mae": 10.0}, {}, False),
        ({"ece": 0.09}, {"ece": 0.02}, {"ece": "reference"}, False),
        ({"false_negative_rate": 0.5}, {"false_negative_rate": 0.4}, {"false_negative_rate": "reference"}, False),
    ],
)
def test_worse_than_what_was_registered(
    now: dict[str, float], registered: dict[str, float], over: dict[str, str], near: bool
) -> None:
    assert found(told(**now), registered=registered) == (over, near)


def test_what_chance_explains_has_not_fallen_but_is_close() -> None:
    assert found(told(half=0.1, auc=0.62), registered={"auc": 0.7}) == ({}, True)
    sure = told(half=0.03, auc=0.62)
    assert found(sure, past=[told(half=0.03, auc=0.7)]) == ({"auc": "past"}, False)
    assert found(sure, past=[told(half=0.09, auc=0.7)]) == ({}, True)  # what came before is as uncertain


def test_nothing_to_compare_with_tells_nothing() -> None:
    assert found(told(auc=0.5)) is None
    assert found(told(auc=0.5), registered={"r2": 0.5, "rows": 7.0}) is None
    assert found(told(bias=3.0), registered={"bias": 0.0}) is None  # nothing says how far is far


def test_the_champion_and_accuracy_of_classes() -> None:
    assert found(told(auc=0.6), champion=told(auc=0.7)) == ({"auc": "champion"}, False)
    assert found(told(auc=0.7, accuracy=0.5), champion=told(auc=0.7, accuracy=0.9)) == ({}, False)
    assert found(told(accuracy=0.5), champion=told(accuracy=0.9)) == ({"accuracy": "champion"}, False)


def test_a_bound_is_a_bound() -> None:
    bounds = Tolerance(0.05, 0.1, 0.8, 0.02, {"auc": 0.65, "mae": 10.0, "bias": 2.0})
    assert found(told(half=0.5, auc=0.64), bounds) == ({"auc": "bound"}, False)
    assert found(told(auc=0.66), bounds) == ({}, True)
    assert found(told(auc=0.67), bounds) == ({}, False)
    assert found(told(mae=10.1, bias=-2.1), bounds) == ({"mae": "bound", "bias": "bound"}, False)
    assert found(told(log_loss=1.0), bounds) is None


def test_a_bound_of_what_is_no_figure_is_refused() -> None:
    with pytest.raises(BadSetting, match="acuracy"):
        tolerance_of(Settings(quality_bounds={"acuracy": 0.9, "auc": 0.6}))
    assert tolerance_of(Settings(quality_bounds={"auc": 0.6})).bounds == {"auc": 0.6}


def test_windows_before_are_pooled_by_cases() -> None:
    one = pooled([told(half=0.03, cases=300, auc=0.7, brier=0.2), told(half=0.01, cases=700, auc=0.6)])
    assert set(one.figures) == {"auc"}
    assert one.figures["auc"] == pytest.approx(0.63)
    half = math.hypot(0.3 * 0.03, 0.7 * 0.01)
    assert one.intervals["auc"] == pytest.approx((0.63 - half, 0.63 + half))


def test_a_finding_says_from_what_a_figure_fell_and_whether_it_is_estimated() -> None:
    now = Told(500, {"auc": 0.6}, {"auc": (0.59, 0.61)}, estimated=True)
    finding = Finding(name="auc", statistic="reference", value=0.6, threshold=0.65, base=0.7, estimated=True)
    assert declined(now, bases_of({"auc": 0.7}, [], None), TOLERANCE) == Level((finding,), False)


def test_what_a_window_tells_of_its_quality() -> None:
    few = measured(quality={"auc": 0.6}, invalid=2, unscored=3).model_copy(update={"outcomes": 104})
    assert measured_quality(few, 100) is None
    enough = few.model_copy(update={"outcomes": 105})
    assert measured_quality(enough, 100) == Told(100, {"auc": 0.6}, {})
    assert estimated_quality(enough) is None
    expected = measured(estimated={"auc": 0.6}, estimated_intervals={"auc": (0.5, 0.7)})
    assert estimated_quality(expected) == Told(10, {"auc": 0.6}, {"auc": (0.5, 0.7)}, estimated=True)


def draws(rng: np.random.Generator, shift: float, cases: int) -> tuple[Any, Any]:
    """Outcomes 0 and 1 by cells of scores; the chance is the score, moved towards one end by `shift`."""
    cells = (rng.beta(2, 3, cases) * 1_000).astype(int)
    came = rng.random(cases) < np.clip(MIDDLES[cells] + shift, 0, 1)
    return np.bincount(cells[~came], minlength=1_001), np.bincount(cells[came], minlength=1_001)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_the_interval_of_the_calibration_error_holds_the_true_one(shift: float) -> None:
    rng = np.random.default_rng(11)
    true = ece(*(part.astype(float) for part in draws(rng, shift, 2_000_000)))
    held = 0
    for _ in range(200):
        low, high = ece_interval(*draws(rng, shift, 500))
        held += low <= true <= high
    assert held >= 190


def test_the_interval_of_an_estimate_is_that_of_as_many_outcomes() -> None:
    rng = np.random.default_rng(12)
    score = rng.beta(2, 3, 4_000)
    truth = (rng.random(4_000) < score).astype(float)
    scores = counted(score, truth)
    scores.cells[PREDICTED] = scores.cells[NEGATIVE] + scores.cells[POSITIVE]
    found = estimated_intervals(scores, chances(scores), 0.4)
    for name in ("auc", "brier", "log_loss", "accuracy", "precision", "recall"):
        low, high = found[name]
        measured_low, measured_high = interval(scores, name)
        assert high - low == pytest.approx(measured_high - measured_low, rel=0.1)
        assert low < (measured_low + measured_high) / 2 < high


def interval(scores: Any, name: str) -> tuple[float, float]:
    return quality(scores, "binary", 0.4).intervals[name]
