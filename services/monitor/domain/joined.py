"""Scores against outcomes, as counts and sums that add up and can be taken back."""

import numpy as np

from services.monitor.domain.sketch import BINARY, ERRORS, SCORE_CELLS, UNIT, Floats, Ints, Joined

EDGES = np.arange(SCORE_CELLS) / (SCORE_CELLS - 1)
"""k/1000 as the nearest double, so that `score >= k/1000` holds exactly where the score's cell is at least k."""

_CLIP = float(np.finfo(np.float64).eps)


def joined_of(names: tuple[str, ...], scores: Floats, outcomes: Floats, weights: Ints) -> Joined:
    """What these outcomes add (weight 1) and take back (weight -1).

    `scores` [columns, rows], NaN where the column has no number; `outcomes` [rows]; `weights` [rows].
    A binary case is an outcome of 0 or 1 with a score between 0 and 1. Log loss is clipped as scikit-learn's is.
    """
    cells = np.zeros((len(names), 2, SCORE_CELLS), np.int64)
    binary = np.zeros((len(names), len(BINARY)), np.int64)
    errors = np.zeros((len(names), len(ERRORS)))
    for column, score in enumerate(scores):
        known = np.isfinite(score)
        errors[column] = _errors(score[known], outcomes[known], weights[known])
        fits = known & (score >= 0) & (score <= 1) & ((outcomes == 0) | (outcomes == 1))
        cells[column], binary[column] = _binary(score[fits], outcomes[fits], weights[fits])
    return Joined(int(weights.sum()), names, cells, binary, errors)


def _binary(score: Floats, outcome: Floats, weight: Ints) -> tuple[Ints, Ints]:
    cell = np.searchsorted(EDGES, score, side="right") - 1
    place = cell + SCORE_CELLS * (outcome == 1)
    counts = np.zeros(2 * SCORE_CELLS, np.int64)
    np.add.at(counts, place, weight)
    likelihood = np.clip(np.where(outcome == 1, score, 1 - score), _CLIP, 1 - _CLIP)
    brier = np.rint((score - outcome) ** 2 * UNIT).astype(np.int64)
    loss = np.rint(-np.log(likelihood) * UNIT).astype(np.int64)
    sums = np.array([weight.sum(), (weight * brier).sum(), (weight * loss).sum()], np.int64)
    return counts.reshape(2, SCORE_CELLS), sums


def _errors(score: Floats, outcome: Floats, weight: Ints) -> Floats:
    error = score - outcome
    terms = (np.ones_like(error), error, np.abs(error), error**2, outcome, outcome**2)
    return np.array([float((weight * term).sum()) for term in terms])
