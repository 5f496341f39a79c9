"""What an owner of the business question reads of KPIs and fairness."""

from typing import Literal

import pytest

from services.monitor.domain.fairness import FourFifths
from services.monitor.domain.kpi import Kpi
from services.monitor.domain.words import Value, amount, fairness_in_words, kpi_in_words
from shared.events.registry import Formula

COST = Formula(kind="cost", threshold=0.3, false_negative=300.0, false_positive=60.0)
NONE = (0.0, 0.0)


def kpi(formula: Formula, unit: str, direction: Literal["lower", "higher"], target: float | None) -> Kpi:
    return Kpi("any", unit, direction, target, formula)


@pytest.mark.parametrize(
    ("value", "text"),
    [(45, "45 USD"), (47.0575, "47.06 USD"), (0.70312, "0.703 USD"), (-12_345.6, "-12,346 USD"), (1.5, "1.5 USD")],
)
def test_amounts(value: float, text: str) -> None:
    assert amount(value, "USD") == text


def test_a_cost_its_target_and_what_else_the_cases_had_come_to() -> None:
    found = Value(4_000, 188_230.0, 47.0575, never=449_700.0, always=142_565.0)
    assert kpi_in_words(kpi(COST, "EUR", "lower", 45.0), found) == (
        "47.06 EUR a case over 4,000 cases with an outcome, 188,230 EUR in all. "
        "The target, at most 45 EUR, is missed by 2.06 EUR. "
        "The same cases had come to 261,470 EUR more had nobody been acted upon and 45,665 EUR less had everybody."
    )
    same = kpi_in_words(kpi(COST, "EUR", "lower", None), Value(1, 60.0, 60.0, never=60.0, always=60.0))
    assert same == (
        "60 EUR a case over 1 case with an outcome, 60 EUR in all. "
        "The same cases had come to as much had nobody been acted upon and as much had everybody."
    )


def test_a_figure_is_no_sum() -> None:
    auc = Formula(kind="metric", metric="auc")
    found = Value(1_234, 0.71234, 0.71234)
    assert kpi_in_words(kpi(auc, "", "higher", 0.7), found) == (
        "0.712 over 1,234 cases with an outcome. The target, at least 0.7, is met."
    )


def test_groups_that_are_treated_worse() -> None:
    even = [FourFifths("f", "m", 0.95, NONE, False, False), FourFifths("x", "m", 0.85, NONE, False, False)]
    assert fairness_in_words("sex", even, "positive") == (
        "By sex no group is called positive less than four fifths as often as 'm', which is most often; "
        "the least is 'x', 0.85 times as often."
    )
    uneven = [*even, FourFifths("y", "m", 0.7, NONE, True, False), FourFifths("z", "m", 0.5, NONE, True, True)]
    assert fairness_in_words("sex", uneven, "negative") == (
        "By sex some are called negative less than four fifths as often as 'm', which is most often: "
        "'z' 0.5 times (surely), 'y' 0.7 times (perhaps by chance)."
    )
    assert fairness_in_words("sex", [], "positive") == "Too few predictions to compare groups by sex."
