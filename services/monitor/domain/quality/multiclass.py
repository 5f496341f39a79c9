"""One of several classes: which was predicted, and which came true. All figures are exact."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.monitor.domain.joined import Ints, Scores
from services.monitor.domain.quality.intervals import wilson
from services.monitor.domain.quality.said import Quality, known, known_intervals, share


def multiclass(scores: Scores, classes: Sequence[str]) -> Quality:
    """Accuracy, and precision, recall and F1 averaged over the classes that came true or were predicted.

    Of a class that was never predicted the precision counts as 0, of one that never came true the recall, as
    scikit-learn has it with `zero_division=0`; `balanced_accuracy` is the mean recall of the classes that came true.
    """
    table = matrix(scores, len(classes))
    cases, told, fitting = int(table.sum()), scores.tally("outcomes"), scores.tally("classed")
    if cases <= 0:
        return Quality("multiclass", 0, told - fitting, fitting)
    right, predicted, actual = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    there, came = (predicted + actual) > 0, actual > 0
    precision = np.divide(right, predicted, out=np.zeros(len(right)), where=predicted > 0)
    recall = np.divide(right, actual, out=np.zeros(len(right)), where=came)
    f1 = np.divide(2 * right, predicted + actual, out=np.zeros(len(right)), where=there)
    hits = int(right.sum())
    figures = {
        "accuracy": hits / cases,
        "balanced_accuracy": float(recall[came].mean()),
        "macro_precision": float(precision[there].mean()),
        "macro_recall": float(recall[there].mean()),
        "macro_f1": float(f1[there].mean()),
        "weighted_f1": float((f1 * actual).sum() / cases),
    }
    bounds = known_intervals({"accuracy": wilson(hits, cases)})
    return Quality("multiclass", cases, told - fitting, fitting - cases, known(figures), bounds)


def matrix(scores: Scores, size: int) -> Ints:
    """Cases [predicted, came true]."""
    table = np.zeros((size, size), np.int64)
    for (predicted, actual), count in scores.pairs.items():
        if predicted < size and actual < size:
            table[predicted, actual] = count
    return table


def per_class(scores: Scores, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class, with how often it was predicted and came true."""
    table = matrix(scores, len(classes))
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(classes):
        right, predicted, actual = int(table[place, place]), int(table[place].sum()), int(table[:, place].sum())
        figures = known(
            {
                "precision": share(right, predicted),
                "recall": share(right, actual),
                "f1": share(2 * right, predicted + actual),
            }
        )
        told = known_intervals({"precision": wilson(right, predicted), "recall": wilson(right, actual)})
        rows.append({"class": name, "predicted": predicted, "came_true": actual, **figures, "intervals": told})
    return rows
