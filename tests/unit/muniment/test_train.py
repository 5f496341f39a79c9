"""The candidates: what is served equals what was trained, and again so every time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from muniment.demo import data, train


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return data.flights()


@pytest.fixture(scope="module")
def trained(flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> train.Trained:
    return train.train(flights, tmp_path_factory.mktemp("models"))


def test_the_onnx_models_answer_as_their_originals(trained: train.Trained) -> None:
    for candidate in (trained.linear, trained.boosted):
        assert candidate.conversion["rows"] == 5_000
        assert candidate.conversion["max_abs_difference"] <= candidate.conversion["tolerance"] == train.TOLERANCE


def test_a_model_that_answers_otherwise_is_refused(
    flights: pd.DataFrame, trained: train.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "TOLERANCE", 0.0)
    with pytest.raises(train.ConversionError, match="allowed 0"):
        train.train(flights, tmp_path)


def test_training_twice_gives_the_same_scores(flights: pd.DataFrame, tmp_path: Path) -> None:
    few, some = flights.iloc[::4], flights.tail(1_000)
    folders = [tmp_path / name for name in ("once", "again")]
    for folder in folders:
        folder.mkdir()
    once, again = (train.train(few, folder) for folder in folders)
    for first, second in ((once.linear, again.linear), (once.boosted, again.boosted)):
        np.testing.assert_array_equal(train.scores_of(first.path, some), train.scores_of(second.path, some))
    assert again.threshold == once.threshold


def test_the_threshold_is_a_multiple_of_a_thousandth_and_cheaper_than_never_warning(trained: train.Trained) -> None:
    assert round(trained.threshold * 1000) / 1000 == trained.threshold
    assert 0.05 <= trained.threshold <= 0.5


def test_scores_of_the_year_rank_as_stated(flights: pd.DataFrame, trained: train.Trained) -> None:
    year = flights[(flights["month"] > 3) & flights["arrived"]]
    linear = roc_auc_score(year["late"], train.scores_of(trained.linear.path, year))
    assert len(year) == 249_435
    assert linear == pytest.approx(0.66, abs=0.01)


def test_costs_are_counted_per_flight() -> None:
    scores, late = np.array([0.1, 0.3, 0.2, 0.9]), np.array([True, False, False, True])
    assert train.cost(scores, late, 0.2) == (train.MISSED + 2 * train.FALSE_ALARM) / 4
