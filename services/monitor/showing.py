"""Figures of quality, money and fairness as the API answers them, from the state of scores alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.monitor.domain.cost import Baselines, baselines, cost, mean_and_variance
from services.monitor.domain.experiment import Arm, compare
from services.monitor.domain.fairness import Gap, Group, Rate, disparities, four_fifths, gaps, reference_of
from services.monitor.domain.figures import figure
from services.monitor.domain.joined import PREDICTED, Joined, Part, Scores
from services.monitor.domain.judging import Judge
from services.monitor.domain.kpi import Kpi, scores_for
from services.monitor.domain.quality import (
    Confusion,
    Quality,
    calibrates,
    calibration,
    chances,
    confusion,
    estimated,
    per_class,
)
from services.monitor.domain.quality.intervals import Interval, of_mean
from services.monitor.domain.words import Value, fairness_in_words, kpi_in_words
from shared.events.registry import Protected

OTHERS = "(others)"
"""How groups beyond the limit are called together."""


def number(value: float) -> float | None:
    """A figure as it is answered; null where there is none."""
    found = figure(value)
    return None if found != found else found


def pair(interval: Interval) -> list[float] | None:
    """[low, high], null where there is none."""
    low, high = (number(end) for end in interval)
    return None if low is None or high is None else [low, high]


def quality_of(judge: Judge, joined: Joined, attribute: str = "", group: str | None = "") -> dict[str, Any]:
    """The figures of all predictions or of a group, with what could not be judged and how sure each figure is."""
    found, scores = judge.quality(joined, attribute, group), judge.scores(joined, attribute, group)
    item: dict[str, Any] = {
        "task": found.task,
        "output": judge.column,
        "predictions": scores.tally("predictions"),
        "outcomes": scores.tally("outcomes"),
        "cases": found.cases,
        "invalid": found.invalid,
        "unscored": found.unscored,
        "quality": _figures(judge, found, scores),
        "intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "bounds": dict(found.bounds),
    }
    return item


def awaits_outcomes(judge: Judge, joined: Joined) -> bool:
    """Whether there is anything to estimate: a yes-or-no question, and predictions without outcome."""
    scores = judge.scores(joined)
    return judge.task == "binary" and scores.tally("predictions") > scores.tally("outcomes")


def estimate_of(judge: Judge, joined: Joined, reference: Joined) -> dict[str, Any] | None:
    """What the figures are to be expected to be, of all predictions; None for what cannot be estimated. `reference`:
    what says what a score means; `calibrated_on` 0: too few outcomes for that, the scores are taken as they are."""
    scores, past = judge.scores(joined), judge.scores(reference)
    figures = estimated(scores, chances(past), judge.threshold) if judge.task == "binary" else {}
    if not figures:
        return None
    calibrated_on = int(past.cells[:PREDICTED].sum()) if calibrates(past) else 0
    told = {"estimated": True, "method": "CBPE", "calibrated_on": calibrated_on}
    return told | {"predictions": scores.tally("predictions"), "quality": figures}


def segments_of(judge: Judge, joined: Joined, attribute: str | None = None) -> list[dict[str, Any]]:
    """One item per group of every attribute, or of one: its figures and KPIs."""
    items: list[dict[str, Any]] = []
    for name in joined.attributes() if attribute is None else (attribute,):
        for part in joined.groups(judge.column or "", name):
            told = {"attribute": name, "group": _called(part)}
            kpis = [item for kpi in judge.kpis if (item := kpi_of(judge, kpi, joined, part)) is not None]
            items.append(told | quality_of(judge, joined, name, part.group) | {"kpis": kpis})
    return items


def kpi_of(judge: Judge, kpi: Kpi, joined: Joined, part: Part | None = None) -> dict[str, Any] | None:
    """A KPI of these windows, against its target; None where it cannot be computed."""
    attribute, group = (part.attribute, part.group) if part is not None else ("", "")
    found = judge.value(kpi, joined, attribute, group)
    if found is None:
        return None
    return {
        "kpi": found.kpi,
        "unit": found.unit,
        "total": found.total,
        "cases": found.cases,
        "per_case": found.per_case,
        "direction": kpi.direction,
        "target": kpi.target,
        "met": None if kpi.target is None else not kpi.breached(found.per_case),
    }


def business_of(judge: Judge, kpi: Kpi, joined: Joined, champion: Confusion | None) -> dict[str, Any]:
    """Of a cost KPI: how sure it is, what each kind of case costs, and what else the same cases could have cost.

    `champion`: the champion's cases of the same time; None where this is the champion, or it has none.
    """
    if kpi.formula.kind != "cost" or judge.task_of(kpi.formula.output or judge.column) != "binary":
        return {}
    scores = scores_for(kpi, joined, judge.column)
    counts = confusion(scores, kpi.threshold)
    if not counts.cases:
        return {}
    mean, variance = mean_and_variance(kpi.formula, counts)
    against = None if champion is None else compare(kpi.formula, Arm(0, champion), Arm(1, counts))
    return {
        "confidence_interval": pair(of_mean(mean, variance, counts.cases)),
        "threshold": counts.threshold,
        "costs": _cells(kpi, counts),
        "baselines": _baselines(baselines(kpi.formula, scores, kpi.direction), counts, cost(kpi.formula, counts)),
        "against_champion": None
        if against is None
        else {
            "difference": against.difference,
            "confidence_interval": None if against.low is None else [against.low, against.high],
            "p_value": against.p_value,
        },
    }


def summary_of(kpi: Kpi, found: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """A KPI in words, from what `kpi_of` and `business_of` tell of it."""
    instead = {name: one["total"] for name, one in told.get("baselines", {}).items()}
    value = Value(found["cases"], found["total"], found["per_case"], instead.get("never"), instead.get("always"))
    return kpi_in_words(kpi, value)


def fairness_of(judge: Judge, protected: Protected, joined: Joined, favourable: str) -> dict[str, Any]:
    """One protected attribute: its groups, each against the reference, and the widest gaps."""
    groups = judge.groups(protected, joined)
    reference = reference_of(groups, protected.reference)
    judged = four_fifths(groups, favourable)
    return {
        "attribute": protected.name,
        "summary": fairness_in_words(protected.name, judged, favourable),
        "feature": protected.feature,
        "reference": reference.name if reference is not None else None,
        "threshold": judge.threshold,
        "groups": [_group(group, reference) for group in groups],
        "disparities": disparities(groups),
        "four_fifths": [
            {
                "group": one.group,
                "highest": one.highest,
                "ratio": number(one.ratio),
                "confidence_interval": pair(one.interval),
                "adverse_impact": one.adverse,
                "certain": one.certain,
            }
            for one in judged
        ],
        "favourable": favourable,
    }


def _figures(judge: Judge, found: Quality, scores: Scores) -> dict[str, Any]:
    figures: dict[str, Any] = dict(found.figures)
    if found.task == "binary":
        return figures | {"calibration": calibration(scores)}
    if found.task == "multiclass":
        return figures | {"classes": per_class(scores, judge.plan.classes(judge.column or ""))}
    return figures


def _cells(kpi: Kpi, counts: Confusion) -> dict[str, Any]:
    formula = kpi.formula
    return {
        name: {"cases": cases, "each": each, "total": figure(cases * each)}
        for name, cases, each in (
            ("true_positives", counts.true_positive, formula.true_positive),
            ("false_positives", counts.false_positive, formula.false_positive),
            ("false_negatives", counts.false_negative, formula.false_negative),
            ("true_negatives", counts.true_negative, formula.true_negative),
        )
    }


def _baselines(found: Baselines, counts: Confusion, total: float) -> dict[str, Any]:
    """`gained`: how much less (of a cost) the decisions as made come to."""
    named: Sequence[tuple[str, float]] = (
        ("never", found.never),
        ("always", found.always),
        ("perfect", found.perfect),
        ("best_threshold", found.best),
    )
    items: dict[str, Any] = {
        name: {"total": figure(value), "per_case": figure(value / counts.cases), "gained": figure(value - total)}
        for name, value in named
    }
    items["best_threshold"]["threshold"] = found.best_threshold
    return items


def _group(group: Group, reference: Group | None) -> dict[str, Any]:
    against = [] if reference is None or group.name == reference.name else gaps(group, reference)
    return {
        "group": OTHERS if group.name is None else group.name,
        "predictions": group.predictions,
        "outcomes": group.outcomes,
        "compared": group.counts,
        "rates": {name: _rate(rate) for name, rate in group.rates.items()},
        "against_reference": {gap.rate: _gap(gap) for gap in against},
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"value": number(rate.value), "confidence_interval": pair(rate.interval()), "of": rate.whole}


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "difference": number(gap.difference),
        "difference_interval": pair(gap.difference_interval),
        "ratio": number(gap.ratio),
        "ratio_interval": pair(gap.ratio_interval),
    }


def _called(part: Part) -> str:
    return OTHERS if part.group is None else part.group
