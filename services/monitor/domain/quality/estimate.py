"""Quality before outcomes come: what it is to be expected if scores mean what they meant where outcomes are known.

Source: NannyML, confidence-based performance estimation (CBPE): a calibrated score is the chance that the case is
positive, so a case called positive is right with that chance, and sums of chances are expected counts. It holds while
the relation of inputs to outcomes does; it cannot see a change of that relation.
"""

import numpy as np

from services.monitor.domain.joined import NEGATIVE, POSITIVE, PREDICTED, Floats, Scores
from services.monitor.domain.quality import intervals
from services.monitor.domain.quality.binary import MIDDLES, auc, threshold_cell
from services.monitor.domain.quality.said import known, known_intervals, share

MIN_CASES = 300
MIN_OF_A_CLASS = 30
"""Fewer cases calibrate nothing; the scores are then taken as they are."""


_INSIDE = np.clip(MIDDLES, 1e-15, 1 - 1e-15)
LOSSES = {
    "brier": ((1 - MIDDLES) ** 2, MIDDLES**2),
    "log_loss": (-np.log(_INSIDE), -np.log(1 - _INSIDE)),
}
"""What a case of each cell [1001] loses if it comes true, and if not."""


def calibrates(reference: Scores) -> bool:
    """Whether enough outcomes are known to say what a score means."""
    negative, positive = int(reference.cells[NEGATIVE].sum()), int(reference.cells[POSITIVE].sum())
    return negative + positive >= MIN_CASES and min(negative, positive) >= MIN_OF_A_CLASS


def chances(reference: Scores) -> Floats:
    """Of each cell the chance [1001] that a case with such a score is positive: the isotonic regression of outcomes on
    scores (Zadrozny and Elkan 2002, doi:10.1145/775047.775151), straight lines between the cells that hold cases."""
    if not calibrates(reference):
        return MIDDLES
    positive = reference.cells[POSITIVE].astype(np.float64)
    weight = positive + reference.cells[NEGATIVE]
    held = np.flatnonzero(weight > 0)
    return np.interp(MIDDLES, MIDDLES[held], isotonic(positive[held] / weight[held], weight[held]))


def isotonic(values: Floats, weights: Floats) -> Floats:
    """The rising sequence nearest to `values` by weighted squares: adjacent ones that fall are pooled.

    Source: Barlow et al., Statistical Inference under Order Restrictions (1972), pool adjacent violators.
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        count = 1
        while blocks and blocks[-1][0] >= value:
            mean, mass, more = blocks.pop()
            value = (mean * mass + value * weight) / (mass + weight)
            weight, count = mass + weight, count + more
        blocks.append((value, weight, count))
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])


def estimated(scores: Scores, chance: Floats, threshold: float) -> dict[str, float]:
    """The figures to be expected of all predictions of a part, from the chances of their cells; {} of none."""
    positive, negative = _expected(scores, chance)
    cases = float(positive.sum() + negative.sum())
    if cases <= 0:
        return {}
    cell = threshold_cell(threshold)
    tp, fp, fn, tn = (
        float(part.sum()) for part in (positive[cell:], negative[cell:], positive[:cell], negative[:cell])
    )
    losses = {name: _mean(positive, negative, *each) for name, each in LOSSES.items()}
    return known(
        {
            "auc": auc(negative, positive),
            **losses,
            "base_rate": (tp + fn) / cases,
            "selection_rate": (tp + fp) / cases,
            "accuracy": (tp + tn) / cases,
            "precision": share(tp, tp + fp),
            "recall": share(tp, tp + fn),
            "specificity": share(tn, tn + fp),
            "f1": share(2 * tp, 2 * tp + fp + fn),
            "true_positives": tp,
            "false_positives": fp,
            "false_negatives": fn,
            "true_negatives": tn,
            "threshold": cell / (len(MIDDLES) - 1),
        }
    )


def estimated_intervals(scores: Scores, chance: Floats, threshold: float) -> dict[str, intervals.Interval]:
    """The 95 % intervals that these figures would have if outcomes came as expected; what the chances themselves are
    uncertain by is not in them."""
    positive, negative = _expected(scores, chance)
    cases = float(positive.sum() + negative.sum())
    if cases <= 1:
        return {}
    cell = threshold_cell(threshold)
    tp, tn = float(positive[cell:].sum()), float(negative[:cell].sum())
    found = {
        "auc": intervals.of_auc(negative, positive),
        "accuracy": intervals.wilson(tp + tn, cases),
        "precision": intervals.wilson(tp, float((positive + negative)[cell:].sum())),
        "recall": intervals.wilson(tp, float(positive.sum())),
        "specificity": intervals.wilson(tn, float(negative.sum())),
    }
    for name, (came, stayed) in LOSSES.items():
        mean = _mean(positive, negative, came, stayed)
        spread = _mean(positive, negative, (came - mean) ** 2, (stayed - mean) ** 2) * cases / (cases - 1)
        found[name] = intervals.of_mean(mean, spread, round(cases))
    return known_intervals(found)


def _expected(scores: Scores, chance: Floats) -> tuple[Floats, Floats]:
    """Cases [1001] that are to be expected to come true, and not to."""
    counts = scores.cells[PREDICTED].astype(np.float64)
    return counts * chance, counts * (1 - chance)


def _mean(positive: Floats, negative: Floats, came: Floats, stayed: Floats) -> float:
    """The mean of what a case costs in each cell, by whether it comes true."""
    return float((positive * came + negative * stayed).sum()) / float(positive.sum() + negative.sum())
