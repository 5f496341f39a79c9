"""What decisions at a threshold cost, in the unit of a KPI: as made, as doing nothing, always acting, and at best."""

import math
from dataclasses import dataclass

import numpy as np

from services.monitor.domain.joined import NEGATIVE, POSITIVE, Floats, Scores
from services.monitor.domain.quality import Confusion
from services.monitor.domain.quality.binary import THOUSAND
from shared.events.registry import Formula


@dataclass(frozen=True, slots=True)
class Baselines:
    """Total costs of the same cases. `best`: at `best_threshold`, the lowest of those with that cost, which is known
    only afterwards."""

    never: float
    always: float
    perfect: float
    best: float
    best_threshold: float


def cost(formula: Formula, counts: Confusion) -> float:
    """The money these cases cost, in the KPI's unit."""
    return (
        formula.true_positive * counts.true_positive
        + formula.false_positive * counts.false_positive
        + formula.false_negative * counts.false_negative
        + formula.true_negative * counts.true_negative
    )


def mean_and_variance(formula: Formula, counts: Confusion) -> tuple[float, float]:
    """Mean cost of a case and its sample variance (n - 1), from how many cases cost how much; NaN below two cases."""
    if counts.cases < 2:
        return (cost(formula, counts) / counts.cases if counts.cases else math.nan), math.nan
    mean = cost(formula, counts) / counts.cases
    spread = (
        counts.true_positive * (formula.true_positive - mean) ** 2
        + counts.false_positive * (formula.false_positive - mean) ** 2
        + counts.false_negative * (formula.false_negative - mean) ** 2
        + counts.true_negative * (formula.true_negative - mean) ** 2
    )
    return mean, spread / (counts.cases - 1)


def baselines(formula: Formula, scores: Scores, direction: str) -> Baselines:
    """What else the same cases could have cost. `never`: nobody is acted upon; `always`: everybody; `perfect`: exactly
    those of whom it came true."""
    curve = by_threshold(formula, scores)
    place = int(np.argmin(curve) if direction == "lower" else np.argmax(curve))
    negative, positive = int(scores.cells[NEGATIVE].sum()), int(scores.cells[POSITIVE].sum())
    perfect = cost(formula, Confusion(positive, 0, 0, negative, 0.0))
    return Baselines(float(curve[-1]), float(curve[0]), perfect, float(curve[place]), place / THOUSAND)


def by_threshold(formula: Formula, scores: Scores) -> Floats:
    """Total cost [1002] of acting from the threshold k/1000 on; the last place is that of never acting."""
    negative, positive = scores.cells[NEGATIVE].astype(np.float64), scores.cells[POSITIVE].astype(np.float64)
    tp = np.append(positive[::-1].cumsum()[::-1], 0.0)
    fp = np.append(negative[::-1].cumsum()[::-1], 0.0)
    fn, tn = positive.sum() - tp, negative.sum() - fp
    return (
        formula.true_positive * tp
        + formula.false_positive * fp
        + formula.false_negative * fn
        + formula.true_negative * tn
    )
