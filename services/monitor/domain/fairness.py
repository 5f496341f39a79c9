"""Whether groups are treated alike: rates by group of a protected attribute, their differences and ratios.

Definitions: fairlearn's (`selection_rate`, `demographic_parity_difference`, `equalized_odds_difference`, …); the
four-fifths rule: US Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D), by which a rate of selection
under four fifths of the highest group's is taken as evidence of adverse impact.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.monitor.domain.figures import figure
from services.monitor.domain.joined import PREDICTED, Scores
from services.monitor.domain.quality import intervals
from services.monitor.domain.quality.binary import confusion, threshold_cell
from services.monitor.domain.quality.intervals import Interval
from shared.events.monitor import FairnessMeasured
from shared.events.registry import Protected

FOUR_FIFTHS = 0.8
MIN_PREDICTIONS = 30
"""Groups with fewer predictions are shown, and neither flagged nor compared with: chance alone moves them."""

RATES = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "false_negative_rate",
    "precision",
    "error_rate",
    "base_rate",
)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of so many."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole if self.whole else math.nan

    def interval(self) -> Interval:
        return intervals.wilson(self.part, self.whole)


@dataclass(frozen=True, slots=True)
class Group:
    """A group's rates at the threshold. `name` None: the groups beyond the limit together."""

    name: str | None
    predictions: int
    outcomes: int
    rates: Mapping[str, Rate]

    @property
    def counts(self) -> bool:
        """Whether there are enough predictions to say anything."""
        return self.name is not None and self.predictions >= MIN_PREDICTIONS


@dataclass(frozen=True, slots=True)
class Gap:
    """One rate of a group against the reference group's: its difference and ratio with 95 % intervals, NaN unknown."""

    rate: str
    difference: float
    difference_interval: Interval
    ratio: float
    ratio_interval: Interval


@dataclass(frozen=True, slots=True)
class FourFifths:
    """A group's rate of being favoured over the highest group's. `adverse`: under four fifths; `certain`: the whole
    interval of the ratio is."""

    group: str
    highest: str
    ratio: float
    interval: Interval
    adverse: bool
    certain: bool


def group_of(name: str | None, scores: Scores, threshold: float) -> Group:
    """The rates of a group. Selection is of all predictions with a score, the other rates of those with an outcome."""
    predicted = scores.cells[PREDICTED]
    cell = threshold_cell(threshold)
    at = confusion(scores, threshold)
    negatives = at.cases - at.positives
    rates = {
        "selection_rate": Rate(int(predicted[cell:].sum()), int(predicted.sum())),
        "true_positive_rate": Rate(at.true_positive, at.positives),
        "false_positive_rate": Rate(at.false_positive, negatives),
        "false_negative_rate": Rate(at.false_negative, at.positives),
        "precision": Rate(at.true_positive, at.selected),
        "error_rate": Rate(at.false_positive + at.false_negative, at.cases),
        "base_rate": Rate(at.positives, at.cases),
    }
    return Group(name, scores.tally("predictions"), scores.tally("outcomes"), rates)


def reference_of(groups: Sequence[Group], wanted: str | None) -> Group | None:
    """The group that others are compared with: the one wanted, else that with the most predictions."""
    named = [group for group in groups if group.name is not None]
    chosen = next((group for group in named if group.name == wanted), None)
    return chosen or max(named, key=lambda group: (group.predictions, group.name), default=None)


def gaps(group: Group, reference: Group) -> list[Gap]:
    """Every rate of a group against the reference's."""
    return [_gap(name, group.rates[name], reference.rates[name]) for name in RATES]


def measured(protected: Protected, groups: Sequence[Group]) -> FairnessMeasured:
    """What a closed window states of one attribute."""
    adverse = tuple(one.group for one in four_fifths(groups) if one.certain)
    return FairnessMeasured(attribute=protected.name, disparities=disparities(groups), adverse=adverse)


def disparities(groups: Sequence[Group]) -> dict[str, float]:
    """The widest differences and narrowest ratios between any two groups that count, as fairlearn defines them.

    A ratio is 1 where no group has any, since then all are treated alike.
    """
    counting = [group for group in groups if group.counts]
    spans = {name: _span([group.rates[name].value for group in counting]) for name in RATES}
    selection, odds = spans["selection_rate"], (spans["true_positive_rate"], spans["false_positive_rate"])
    found = {
        "demographic_parity_difference": selection[0],
        "demographic_parity_ratio": selection[1],
        "equal_opportunity_difference": odds[0][0],
        "equal_opportunity_ratio": odds[0][1],
        "equalized_odds_difference": max(odds[0][0], odds[1][0]),
        "equalized_odds_ratio": min(odds[0][1], odds[1][1]),
        "predictive_parity_difference": spans["precision"][0],
        "predictive_parity_ratio": spans["precision"][1],
        "error_rate_difference": spans["error_rate"][0],
        "error_rate_ratio": spans["error_rate"][1],
    }
    if any(math.isnan(span[0]) for span in odds):
        found["equalized_odds_difference"] = found["equalized_odds_ratio"] = math.nan
    return {name: figure(value) for name, value in found.items() if math.isfinite(value)}


def four_fifths(groups: Sequence[Group], favourable: str = "positive") -> list[FourFifths]:
    """Each group that counts against the one with the highest rate. `favourable`: being called `positive` (selected
    for what is good) or `negative` (spared what is bad)."""
    rates = {group.name: _favoured(group, favourable) for group in groups if group.counts and group.name is not None}
    rates = {name: rate for name, rate in rates.items() if rate.whole}
    if len(rates) < 2:
        return []
    top = max(rates, key=lambda name: (rates[name].value, name))
    return [_judged(name, top, rates[name], rates[top]) for name in sorted(rates) if name != top]


def _judged(name: str, top: str, rate: Rate, highest: Rate) -> FourFifths:
    ratio = rate.value / highest.value if highest.part else 1.0
    interval = intervals.ratio(rate.part, rate.whole, highest.part, highest.whole)
    certain = interval[1] < FOUR_FIFTHS or (rate.part == 0 and ratio < FOUR_FIFTHS and _apart(rate, highest))
    return FourFifths(name, top, ratio, interval, ratio < FOUR_FIFTHS, certain)


def _apart(rate: Rate, highest: Rate) -> bool:
    """A group of whom nobody is favoured has no interval by logarithms: its Wilson bound against four fifths."""
    return rate.interval()[1] < FOUR_FIFTHS * highest.interval()[0]


def _favoured(group: Group, favourable: str) -> Rate:
    rate = group.rates["selection_rate"]
    return rate if favourable == "positive" else Rate(rate.whole - rate.part, rate.whole)


def _gap(name: str, rate: Rate, base: Rate) -> Gap:
    ratio = rate.value / base.value if base.part and rate.whole else math.nan
    return Gap(
        name,
        rate.value - base.value,
        intervals.difference(rate.part, rate.whole, base.part, base.whole),
        ratio,
        intervals.ratio(rate.part, rate.whole, base.part, base.whole),
    )


def _span(values: list[float]) -> tuple[float, float]:
    """(difference, ratio) of the greatest and the least; NaN with fewer than two that are known."""
    held = [value for value in values if math.isfinite(value)]
    if len(held) < 2:
        return math.nan, math.nan
    least, most = min(held), max(held)
    return most - least, (least / most if most else 1.0)
