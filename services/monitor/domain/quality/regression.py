"""An estimate of a quantity: how far it lay from what came true, in the quantity's unit. Error: estimate - outcome."""

import math

from services.monitor.domain import exact, spread
from services.monitor.domain.joined import Scores
from services.monitor.domain.quality.intervals import Interval, of_mean
from services.monitor.domain.quality.said import Quality, known, known_intervals

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def regression(scores: Scores) -> Quality:
    """The figures of an output that estimates a quantity."""
    cases = scores.tally("cases")
    invalid, unscored = scores.tally("outcomes") - scores.tally("finite"), scores.tally("finite") - cases
    if cases <= 0:
        return Quality("regression", 0, invalid, unscored)
    quantiles = _quantiles(scores)
    figures = _means(scores, cases) | quantiles
    bounds = {name: abs(value) * spread.ACCURACY + spread.LEAST for name, value in quantiles.items()}
    told = known_intervals(_intervals(scores, cases, figures)) if cases > 1 else {}
    return Quality("regression", cases, invalid, unscored, known(figures), told, known(bounds))


def _means(scores: Scores, cases: int) -> dict[str, float]:
    mse = exact.mean(scores.sum("squared"), cases)
    return {
        "bias": exact.mean(scores.sum("error"), cases),
        "mae": exact.mean(scores.sum("absolute"), cases),
        "mse": mse,
        "rmse": math.sqrt(max(mse, 0.0)),
        "r2": _r2(scores, cases),
        "mean_outcome": exact.mean(scores.sum("outcome"), cases),
    }


def _r2(scores: Scores, cases: int) -> float:
    """1 - squared errors / squared deviations of the outcomes from their mean; NaN where all outcomes are alike."""
    outcome = exact.fraction(scores.sum("outcome"))
    around = exact.fraction(scores.sum("outcome_squared")) - outcome**2 / cases
    total = float(around)
    # squares are rounded before they are added: what is left of equal outcomes may be no more than that
    if total <= cases * 1e-15 * exact.mean(scores.sum("outcome_squared"), cases):
        return math.nan
    return float(1 - exact.fraction(scores.sum("squared")) / around)


def _quantiles(scores: Scores) -> dict[str, float]:
    sizes = spread.of_size(scores.errors)
    found = {f"error_p{round(share * 100):02d}": spread.quantile(scores.errors, share) for share in QUANTILES}
    return found | {f"absolute_error_p{at}": spread.quantile(sizes, at / 100) for at in (50, 95)}


def _intervals(scores: Scores, cases: int, figures: dict[str, float]) -> dict[str, Interval]:
    """Of means by Student's t; of RMSE the square root of the MSE's."""
    squares = {"bias": ("error", "squared"), "mae": ("absolute", "squared"), "mse": ("squared", "fourth")}
    squares["mean_outcome"] = ("outcome", "outcome_squared")
    found: dict[str, Interval] = {}
    for name, (first, second) in squares.items():
        found[name] = of_mean(figures[name], exact.variance(scores.sum(first), scores.sum(second), cases), cases)
    found["mae"] = (max(0.0, found["mae"][0]), found["mae"][1])
    low, high = found["mse"]
    found["mse"] = (max(0.0, low), high)
    found["rmse"] = (math.sqrt(max(0.0, low)), math.sqrt(max(0.0, high)))
    return found
