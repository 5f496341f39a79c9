"""Formulas of KPIs: what may be written in them, and what it comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.expression import NotAnExpression, names_in, value_of

FIGURES = {"false_negatives": 3, "false_positives": 5, "cases": 40, "mae": 2.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300 * false_negatives + 60 * false_positives", 1200.0),
        ("(300 * false_negatives + 60 * false_positives) / cases", 30.0),
        ("-mae * cases", -100.0),
        ("max(mae, 3) - min(1, 2, cases)", 2.0),
        (" +1.5e2 ", 150.0),
    ],
)
def test_a_formula_is_its_arithmetic(text: str, expected: float) -> None:
    assert value_of(text, FIGURES) == expected


@pytest.mark.parametrize("text", ["cases / (false_positives - 5)", "auc * 2", "1e308 * 1e308"])
def test_what_cannot_be_said_yet_is_unknown(text: str) -> None:
    assert value_of(text, FIGURES) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "__import__('os')",
        "cases.real",
        "cases ** 2",
        "'a'",
        "True",
        "[cases]",
        "min()",
        "min(cases)",
        "abs(cases)",
        "lambda: 1",
        "cases if mae else 1",
        "1e999",
        "x" * 501,
        "max(cases, key=1)",
    ],
)
def test_nothing_else_can_be_written(text: str) -> None:
    with pytest.raises(NotAnExpression):
        names_in(text)


def test_the_names_are_those_of_metrics() -> None:
    assert names_in("max(mae, 3) * cases / 2") == {"mae", "cases"}


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        names_in(text)
    except NotAnExpression:
        return
    found = value_of(text, dict.fromkeys(names_in(text), 1.0))
    assert found is None or isinstance(found, float)
