"""A yes-or-no question: how well scores met outcomes. Exact at every threshold k/1000."""

import math
from dataclasses import dataclass

import numpy as np

from services.monitor.domain import exact
from services.monitor.domain.figures import figure
from services.monitor.domain.joined import NEGATIVE, POSITIVE, SCORE_CELLS, Floats, Ints, Scores
from services.monitor.domain.quality import intervals
from services.monitor.domain.quality.intervals import Interval, wilson
from services.monitor.domain.quality.said import Quality, known, known_intervals, share

THOUSAND = SCORE_CELLS - 1
CALIBRATION_GROUPS = 10
MIDDLES = np.append((np.arange(THOUSAND) + 0.5) / THOUSAND, 1.0)
"""What stands for the scores of a cell; the last holds only 1."""

HALF_CELL = 0.5 / THOUSAND


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

    @property
    def positives(self) -> int:
        return self.true_positive + self.false_negative

    @property
    def selected(self) -> int:
        return self.true_positive + self.false_positive


def binary(scores: Scores, threshold: float) -> Quality:
    """The figures of a binary output."""
    negative, positive = scores.cells[NEGATIVE], scores.cells[POSITIVE]
    cases = int(negative.sum() + positive.sum())
    invalid = scores.tally("outcomes") - scores.tally("binary")
    unscored = scores.tally("binary") - cases
    if cases <= 0:
        return Quality("binary", 0, invalid, unscored)
    at = confusion(scores, threshold)
    figures = _of_confusion(at) | _of_scores(scores, cases)
    told = _intervals(at) | _score_intervals(scores, cases, figures)
    bounds = known({"auc": tied_pairs(negative, positive) / 2, "ece": HALF_CELL, "mean_score": HALF_CELL})
    return Quality("binary", cases, invalid, unscored, known(figures), known_intervals(told), bounds)


def confusion(scores: Scores, threshold: float) -> Confusion:
    """The confusion; a threshold between two thousandths counts as the next one above."""
    negative, positive = scores.cells[NEGATIVE], scores.cells[POSITIVE]
    cell = threshold_cell(threshold)
    tp, fp = int(positive[cell:].sum()), int(negative[cell:].sum())
    return Confusion(tp, fp, int(positive.sum()) - tp, int(negative.sum()) - fp, cell / THOUSAND)


def threshold_cell(threshold: float) -> int:
    """The first cell that counts as positive."""
    nearest = round(threshold * THOUSAND)
    cell = nearest if math.isclose(threshold * THOUSAND, nearest, abs_tol=1e-9) else math.ceil(threshold * THOUSAND)
    return min(max(cell, 0), THOUSAND + 1)


def auc(negative: Ints | Floats, positive: Ints | Floats) -> float:
    """Area under the ROC curve from counts by cells of the score; NaN without both.

    The Mann-Whitney statistic with ties counted half (Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747);
    scores of one thousandth count as tied, so it differs from the exact one by at most half of `tied_pairs`.
    """
    n, m = float(negative.sum()), float(positive.sum())
    if n <= 0 or m <= 0:
        return math.nan
    below = np.cumsum(negative, dtype=np.float64) - negative
    return float((positive * (below + negative / 2)).sum() / (n * m))


def tied_pairs(negative: Ints, positive: Ints) -> float:
    """The share of pairs of a negative and a positive whose scores lie in one cell; NaN without such pairs."""
    pairs = float(negative.sum()) * float(positive.sum())
    return float((negative.astype(np.float64) * positive).sum()) / pairs if pairs > 0 else math.nan


def calibration(scores: Scores) -> list[dict[str, float]]:
    """Mean score and share of positives per tenth of the scores; a mean is right to half a thousandth."""
    negative, positive = scores.cells[NEGATIVE], scores.cells[POSITIVE]
    groups: list[dict[str, float]] = []
    for first, last in _tenths():
        counts = negative[first:last] + positive[first:last]
        cases, came = int(counts.sum()), int(positive[first:last].sum())
        if cases:
            low, high = wilson(came, cases)
            groups.append(
                {
                    "from": first / THOUSAND,
                    "to": min(last, THOUSAND) / THOUSAND,
                    "cases": cases,
                    "mean_score": figure(float((counts * MIDDLES[first:last]).sum()) / cases),
                    "share": figure(came / cases),
                    "low": figure(low),
                    "high": figure(high),
                }
            )
    return groups


def ece(negative: Floats, positive: Floats) -> float:
    """Expected calibration error over tenths of the score: the mean distance of share and mean score, by cases.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015, with ten bins of equal width.
    """
    total = float(negative.sum() + positive.sum())
    off = 0.0
    for first, last in _tenths():
        counts = negative[first:last] + positive[first:last]
        off += abs(float((counts * MIDDLES[first:last]).sum()) - float(positive[first:last].sum()))
    return off / total if total else math.nan


def ece_interval(negative: Ints, positive: Ints) -> Interval:
    """A 95 % interval of the expected calibration error (of the scores' tenths), which chance alone keeps above 0.

    Each tenth's distance d is known with a standard error s (Agresti and Coull 1998), and |d + s N| lies between |d|
    and |d| + s sqrt(2 / pi) in the mean, with a variance of at most s**2: so the lower end takes that much off.
    """
    total = float(negative.sum() + positive.sum())
    off = bias = variance = 0.0
    for first, last in _tenths():
        counts = negative[first:last] + positive[first:last]
        cases, came = float(counts.sum()), float(positive[first:last].sum())
        if not cases:
            continue
        share_of = (came + 2) / (cases + 4)
        error = math.sqrt(cases * share_of * (1 - share_of))
        off += abs(float((counts * MIDDLES[first:last]).sum()) - came)
        bias, variance = bias + error * math.sqrt(2 / math.pi), variance + error * error
    half = intervals.Z_95 * math.sqrt(variance)
    return max(0.0, (off - bias - half) / total), min(1.0, (off + half) / total)


def _tenths() -> list[tuple[int, int]]:
    size = THOUSAND // CALIBRATION_GROUPS
    starts = range(0, THOUSAND, size)
    return [(start, THOUSAND + 1 if start + size == THOUSAND else start + size) for start in starts]


def _of_scores(scores: Scores, cases: int) -> dict[str, float]:
    negative, positive = scores.cells[NEGATIVE], scores.cells[POSITIVE]
    return {
        "auc": auc(negative, positive),
        "brier": exact.mean(scores.sum("brier"), cases),
        "log_loss": exact.mean(scores.sum("log_loss"), cases),
        "ece": ece(negative.astype(np.float64), positive.astype(np.float64)),
        "mean_score": float(((negative + positive) * MIDDLES).sum()) / cases,
    }


def _of_confusion(at: Confusion) -> dict[str, float]:
    negatives = at.cases - at.positives
    recall, specificity = share(at.true_positive, at.positives), share(at.true_negative, negatives)
    return {
        "base_rate": at.positives / at.cases,
        "selection_rate": at.selected / at.cases,
        "accuracy": (at.true_positive + at.true_negative) / at.cases,
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": share(at.true_positive, at.selected),
        "recall": recall,
        "specificity": specificity,
        "f1": share(2 * at.true_positive, at.selected + at.positives),
        "mcc": _mcc(at),
        "false_positive_rate": share(at.false_positive, negatives),
        "false_negative_rate": share(at.false_negative, at.positives),
        "threshold": at.threshold,
        "true_positives": at.true_positive,
        "false_positives": at.false_positive,
        "false_negatives": at.false_negative,
        "true_negatives": at.true_negative,
    }


def _mcc(at: Confusion) -> float:
    """Matthews' correlation; NaN where one of the four margins is empty. Source: Matthews 1975,
    doi:10.1016/0005-2795(75)90109-9."""
    negatives, rejected = at.cases - at.positives, at.cases - at.selected
    margins = math.sqrt(at.positives) * math.sqrt(negatives) * math.sqrt(at.selected) * math.sqrt(rejected)
    return share(at.true_positive * at.true_negative - at.false_positive * at.false_negative, margins)


def _intervals(at: Confusion) -> dict[str, Interval]:
    negatives = at.cases - at.positives
    return {
        "base_rate": wilson(at.positives, at.cases),
        "selection_rate": wilson(at.selected, at.cases),
        "accuracy": wilson(at.true_positive + at.true_negative, at.cases),
        "precision": wilson(at.true_positive, at.selected),
        "recall": wilson(at.true_positive, at.positives),
        "specificity": wilson(at.true_negative, negatives),
        "f1": intervals.of_f1(at.true_positive, at.false_positive + at.false_negative),
        "false_positive_rate": wilson(at.false_positive, negatives),
        "false_negative_rate": wilson(at.false_negative, at.positives),
    }


def _score_intervals(scores: Scores, cases: int, figures: dict[str, float]) -> dict[str, Interval]:
    found = {
        "auc": intervals.of_auc(*scores.cells[:2].astype(np.float64)),
        "ece": ece_interval(scores.cells[NEGATIVE], scores.cells[POSITIVE]),
    }
    if cases > 1:
        for name in ("brier", "log_loss"):
            variance = exact.variance(scores.sum(name), scores.sum(f"{name}_squared"), cases)
            low, high = intervals.of_mean(figures[name], variance, cases)
            found[name] = (max(0.0, low), high)
    return found
