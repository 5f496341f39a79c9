"""Sentences that need no knowledge of models, and distances between cases."""

import math

import numpy as np
import pytest

from services.monitor.domain.explanation import (
    Contribution,
    Shown,
    distances,
    is_probability,
    number,
    past,
    scales,
    shown,
    typical,
    words,
)
from shared.events.registry import Field, Signature

SIGNATURE = Signature(
    inputs=(
        Field(name="dep_delay", type="double", description="Departure delay", unit="min"),
        Field(name="wind", type="double", description="Wind at departure [mph]"),
        Field(name="carrier", type="string"),
        Field(name="holiday", type="boolean"),
    ),
    outputs=(
        Field(name="probability", type="double", description="Risk of a late arrival"),
        Field(name="delay", type="double", unit="min"),
    ),
)
FOUND = [
    Contribution("wind", None, -0.004, 10.0),
    Contribution("dep_delay", 45.0, 0.22, 8.0),
    Contribution("carrier", "UA", -0.05, "B6"),
    Contribution("holiday", True, 0.03, False),
]


def test_a_probability_moves_by_points() -> None:
    said = words(SIGNATURE, "probability", 0.43, 0.234, FOUND, True)
    assert said == [
        "The model's risk of a late arrival is 43 %; on average it is 23.4 %.",
        "Departure delay of 45 min raised the risk of a late arrival by 22 points (typical: 8 min).",
        "Carrier of 'UA' lowered the risk of a late arrival by 5 points (typical: 'B6').",
        "Holiday being true raised the risk of a late arrival by 3 points (typical: false).",
        "That the wind at departure is not known lowered the risk of a late arrival by 0.4 points (typical: 10 mph).",
    ]


def test_another_output_moves_in_its_unit_and_what_is_small_is_summed_up() -> None:
    found = [Contribution("dep_delay", 45.0, 30.0, 45.0), *(Contribution(f"f{n}", 1.0, 0.01, 1.0) for n in range(3))]
    said = words(SIGNATURE, "delay", 42.03, 12.0, found, False)
    assert said == [
        "The model's delay is 42 min; on average it is 12 min.",
        "Departure delay of 45 min raised the delay by 30 min.",
        "3 other values together raised it by 0.03 min.",
    ]


def test_where_nothing_moved_it_that_is_said() -> None:
    said = words(SIGNATURE, "delay", 12.0, 12.0, [Contribution("wind", 3.0, 0.0, 3.0)], False)
    assert said[1:] == ["No single value moved it away from the average."]


@pytest.mark.parametrize(
    ("field", "name", "expected"),
    [
        (Field(name="a", type="double", description="Wind [mph]"), "a", Shown("Wind", "mph")),
        (Field(name="a", type="double", description="Wind [mph]", unit="kn"), "a", Shown("Wind", "kn")),
        (Field(name="wind_mph", type="double"), "wind_mph", Shown("wind mph", "")),
        (None, "late_score", Shown("late score", "")),
    ],
)
def test_a_label_is_the_description_or_the_name(field: Field | None, name: str, expected: Shown) -> None:
    assert shown(field, name) == expected


def test_what_is_typical() -> None:
    assert typical([1, 9, 3, None]) == 3
    assert typical([1, 2]) == 1
    assert typical(["a", "b", "b", None]) == "b"
    assert typical([None, math.nan]) is None
    assert typical([True, True, False]) is True


def test_numbers_read_well() -> None:
    assert [number(value) for value in (45.0, 1234567.8, 0.12345, 2e-5, 1e20)] == [
        "45",
        "1,234,568",
        "0.123",
        "2.00e-05",
        "100,000,000,000,000,000,000",
    ]


def test_past_cases_in_a_sentence() -> None:
    assert past(0, [], True) == "There are no past cases to compare it with yet."
    assert past(5, [], True) == "Of the 5 most similar past cases it is not known yet how they turned out."
    assert past(5, [1.0, 1.0, 0.0], True) == "Of the 5 most similar past cases, 3 are known: 2 came true."
    assert past(5, [10.0, 20.0], False) == "Of the 5 most similar past cases, 2 are known: they averaged 15."


def test_outputs_of_0_and_1_alone_are_no_probabilities() -> None:
    assert is_probability(np.array([0.0, 0.3, 1.0]))
    assert not is_probability(np.array([0.0, 1.0]))
    assert not is_probability(np.array([0.5, 1.5]))


def test_distance_is_in_deviations_of_the_reference_and_zero_for_the_same() -> None:
    scale = scales({"wind": [0.0, 10.0, None, math.nan], "hour": [5, 5], "text": ["a"]}, ["wind", "hour", "none"])
    assert scale == {"wind": 5.0, "hour": 1.0, "none": 1.0}
    row = {"wind": 3.0, "carrier": "AA"}
    columns = {"wind": np.array([3.0, 8.0, np.nan]), "carrier": np.array(["AA", "UA", "AA"], np.object_)}
    assert distances(row, columns, scale).tolist() == pytest.approx([0.0, 1.0, math.sqrt(0.5)])
    assert distances({"wind": None}, {"wind": np.array([3.0, np.nan])}, scale).tolist() == [1.0, 0.0]
