"""How well scores met their outcomes. Binary figures from thousandths, exact at every threshold k/1000."""

import math
from dataclasses import dataclass

import numpy as np

from services.monitor.domain.figures import figure
from services.monitor.domain.sketch import UNIT, Ints, Joined

THOUSAND = 1_000
CALIBRATION_GROUPS = 10


@dataclass(frozen=True, slots=True)
class Confusion:
    """Cases by what was predicted at `threshold` (score >= threshold is positive) and what came true."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    threshold: float

    @property
    def cases(self) -> int:
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative


def quality(joined: Joined, column: str | None, threshold: float) -> dict[str, float]:
    """The figures of one score column by name; {} where nothing is joined yet.

    Binary where every case's outcome is 0 or 1 and its score lies in [0, 1]; otherwise of a regression.
    """
    if column not in joined.names:
        return {}
    place = joined.names.index(column)
    cases = int(joined.errors[place, 0])
    if cases <= 0:
        return {}
    figures = _binary(joined, place, threshold) if is_binary(joined, place) else _regression(joined, place)
    return {name: figure(value) for name, value in figures.items() if math.isfinite(value)}


def is_binary(joined: Joined, place: int) -> bool:
    """Whether all cases of a column are binary."""
    return int(joined.errors[place, 0]) == int(joined.binary[place, 0]) > 0


def confusion(joined: Joined, column: str | None, threshold: float) -> Confusion | None:
    """The confusion of a binary column; a threshold between two thousandths counts as the next one above."""
    if column not in joined.names:
        return None
    place = joined.names.index(column)
    if not is_binary(joined, place):
        return None
    return _confusion(joined.cells[place], threshold)


def threshold_cell(threshold: float) -> int:
    """The first cell that counts as positive."""
    nearest = round(threshold * THOUSAND)
    cell = nearest if math.isclose(threshold * THOUSAND, nearest, abs_tol=1e-9) else math.ceil(threshold * THOUSAND)
    return min(max(cell, 0), THOUSAND + 1)


def auc(cells: Ints) -> float:
    """Area under the ROC curve from counts [2, cells] of negatives and positives; NaN without both.

    The Mann-Whitney statistic with ties counted half (Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747);
    scores of one thousandth count as tied, so it differs from the exact one by at most half the share of such pairs.
    """
    negative, positive = cells.astype(np.float64)
    pairs = negative.sum() * positive.sum()
    if pairs <= 0:
        return math.nan
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def calibration(joined: Joined, column: str | None) -> list[dict[str, float]]:
    """Mean score and share of positives per tenth of the scores; a mean is right to half a thousandth."""
    if column not in joined.names or not is_binary(joined, joined.names.index(column)):
        return []
    negative, positive = joined.cells[joined.names.index(column)]
    middles = np.append((np.arange(THOUSAND) + 0.5) / THOUSAND, 1.0)
    groups: list[dict[str, float]] = []
    for group in range(CALIBRATION_GROUPS):
        first = group * THOUSAND // CALIBRATION_GROUPS
        last = THOUSAND + 1 if group == CALIBRATION_GROUPS - 1 else first + THOUSAND // CALIBRATION_GROUPS
        counts = negative[first:last] + positive[first:last]
        cases = int(counts.sum())
        if cases:
            groups.append(
                {
                    "from": first / THOUSAND,
                    "to": min(last, THOUSAND) / THOUSAND,
                    "cases": cases,
                    "mean_score": figure(float((counts * middles[first:last]).sum()) / cases),
                    "share": figure(int(positive[first:last].sum()) / cases),
                }
            )
    return groups


def _confusion(cells: Ints, threshold: float) -> Confusion:
    negative, positive = cells
    cell = threshold_cell(threshold)
    tp, fp = int(positive[cell:].sum()), int(negative[cell:].sum())
    return Confusion(tp, fp, int(positive.sum()) - tp, int(negative.sum()) - fp, cell / THOUSAND)


def _binary(joined: Joined, place: int, threshold: float) -> dict[str, float]:
    cases, brier, loss = (int(value) for value in joined.binary[place])
    at = _confusion(joined.cells[place], threshold)
    return {
        "auc": auc(joined.cells[place]),
        "brier": brier / UNIT / cases,
        "log_loss": loss / UNIT / cases,
        "base_rate": (at.true_positive + at.false_negative) / cases,
        "accuracy": (at.true_positive + at.true_negative) / cases,
        "precision": _share(at.true_positive, at.true_positive + at.false_positive),
        "recall": _share(at.true_positive, at.true_positive + at.false_negative),
        "threshold": at.threshold,
        "true_positives": at.true_positive,
        "false_positives": at.false_positive,
        "false_negatives": at.false_negative,
        "true_negatives": at.true_negative,
    }


def _regression(joined: Joined, place: int) -> dict[str, float]:
    cases, error, absolute, squared, outcome, outcome_squared = (float(value) for value in joined.errors[place])
    spread = outcome_squared - outcome**2 / cases
    return {
        "bias": error / cases,
        "mae": absolute / cases,
        "rmse": math.sqrt(max(squared, 0.0) / cases),
        "r2": 1 - squared / spread if spread > 0 else math.nan,
        "mean_outcome": outcome / cases,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
