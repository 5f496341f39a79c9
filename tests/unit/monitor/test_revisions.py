"""Why a closed window is measured again: given what was stated, when more is known, then a revision and its cause."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from services.monitor.domain import window as windows
from services.monitor.domain.kpi import Kpi
from services.monitor.domain.quality import quality
from services.monitor.domain.window import Measure, Window
from shared.events.envelope import Event
from shared.events.monitor import KpiValue, WindowMeasured
from shared.events.registry import Formula
from tests.unit.monitor.judged_rows import counted

START, END = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 4, 2, tzinfo=UTC)
JUDGED = quality(counted(np.array([0.2, 0.9, 0.4]), np.array([0.0, 1.0, 7.0])), "binary", 0.5)
CORRECTED = quality(counted(np.array([0.2, 0.9, 0.4]), np.array([1.0, 1.0, 7.0])), "binary", 0.5)
KPI = Kpi("cost", "USD", "lower", None, Formula(kind="cost", threshold=0.5))
VALUE = KpiValue(kpi="cost", unit="USD", total=8.0, cases=2, per_case=4.0)
MEASURE = Measure(
    Window("late", "late", 1, START, END), 5, 3, (), dict(JUDGED.figures), (VALUE,), (KPI,), judged=JUDGED
)


def measured(*commands: Measure) -> list[WindowMeasured]:
    state: windows.State = windows.initial
    said: list[WindowMeasured] = []
    for command in commands:
        for payload in windows.decide(state, command):
            state = windows.evolve(state, Event("e", "s", "x", END, 1, "monitor", payload))
            assert isinstance(payload, WindowMeasured)
            said.append(payload)
    return said


def test_a_measure_says_what_was_judged_and_how_surely() -> None:
    (first,) = measured(MEASURE)
    assert (first.cause, first.task, first.invalid, first.unscored) == ("closed", "binary", 1, 0)
    low, high = first.intervals["accuracy"]
    assert low < first.quality["accuracy"] <= high


@pytest.mark.parametrize(
    ("later", "cause"),
    [
        (replace(MEASURE, predictions=6, outcomes=4), "late_predictions"),
        (replace(MEASURE, outcomes=4), "late_outcomes"),
        (replace(MEASURE, quality=dict(CORRECTED.figures), judged=CORRECTED), "corrected_outcomes"),
        (replace(MEASURE, values=()), "definitions"),
    ],
)
def test_a_revision_has_a_number_and_a_cause(later: Measure, cause: str) -> None:
    first, second = measured(MEASURE, later)
    assert (first.revision, second.revision, second.cause) == (0, 1, cause)


def test_the_same_figures_again_are_no_revision() -> None:
    assert len(measured(MEASURE, MEASURE)) == 1
    assert [one.revision for one in measured(MEASURE, replace(MEASURE, outcomes=4), MEASURE, MEASURE)] == [0, 1, 2]
