"""What is stated of a window: given what was stated, when it is measured, then what follows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.monitor.domain import window as windows
from services.monitor.domain.drift import FeatureDrift
from services.monitor.domain.integrity import Check
from services.monitor.domain.kpi import Kpi
from services.monitor.domain.multivariate import Multivariate
from services.monitor.domain.window import Measure, Window
from shared.events.envelope import Event, Payload
from shared.events.monitor import DriftDetected, IntegrityBreached, KpiBreached, KpiValue, WindowMeasured
from shared.events.registry import Formula

START, END = datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 4, 2, tzinfo=UTC)
WINDOW = Window("late", "late", 1, START, END)
KPI = Kpi("cost", "USD", "lower", 40.0, Formula(kind="cost"))
VALUE = KpiValue(kpi="cost", unit="USD", total=8000.0, cases=200, per_case=40.0)
DRIFT = FeatureDrift("wind", "numeric", 0.1, 500, adjusted_p_value=0.001)
MEASURE = Measure(WINDOW, 500, 200, (DRIFT,), {"auc": 0.7}, (VALUE,), (KPI,))
BREACH = replace(MEASURE, values=(VALUE.model_copy(update={"per_case": 41.0}),))
DRIFTED = replace(MEASURE, drift=(replace(DRIFT, psi=0.2),))


def stated(*commands: Measure) -> Sequence[Payload]:
    """What the last command states after those before it."""
    state: windows.State = windows.initial
    payloads: Sequence[Payload] = ()
    for command in commands:
        payloads = windows.decide(state, command)
        for payload in payloads:
            state = windows.evolve(state, Event("e", "s", "x", END, 1, "monitor", payload))
    return payloads


def test_a_window_is_measured_as_revision_0() -> None:
    (measured,) = stated(MEASURE)
    assert isinstance(measured, WindowMeasured)
    assert (measured.revision, measured.predictions, measured.outcomes, measured.quality) == (0, 500, 200, {"auc": 0.7})
    assert measured.kpis == (VALUE,)
    assert [(one.feature, one.psi) for one in measured.drift] == [("wind", 0.1)]


def test_the_same_measure_again_states_nothing() -> None:
    assert stated(MEASURE, MEASURE) == []
    assert stated(BREACH, BREACH) == []


def test_another_measure_is_the_next_revision() -> None:
    (measured,) = stated(MEASURE, replace(MEASURE, outcomes=201), replace(MEASURE, outcomes=202))
    assert isinstance(measured, WindowMeasured)
    assert (measured.revision, measured.outcomes) == (2, 202)


def test_drift_at_the_threshold_is_stated_once_per_feature() -> None:
    _, drift = stated(MEASURE, DRIFTED)
    assert isinstance(drift, DriftDetected)
    assert (drift.feature, drift.statistic, drift.value, drift.threshold) == ("wind", "psi", 0.2, 0.2)
    assert [type(one) for one in stated(DRIFTED, MEASURE, DRIFTED)] == [WindowMeasured]


def test_few_rows_are_no_drift() -> None:
    few = replace(MEASURE, drift=(replace(DRIFT, psi=3.0, rows=99),))
    assert [type(one) for one in stated(few)] == [WindowMeasured]


def test_what_chance_explains_is_no_drift() -> None:
    lucky = replace(MEASURE, drift=(replace(DRIFT, psi=3.0, adjusted_p_value=0.02),))
    assert [type(one) for one in stated(lucky)] == [WindowMeasured]


@pytest.mark.parametrize(("auc", "p_value", "drifts"), [(0.7, 0.001, 1), (0.64, 0.001, 0), (0.7, 0.02, 0)])
def test_all_features_together_drift_by_how_well_rows_are_told_apart(auc: float, p_value: float, drifts: int) -> None:
    together = replace(MEASURE, multivariate=Multivariate(auc, p_value, 256, 256, (("wind", 0.1),)))
    measured, *found = stated(together)
    assert isinstance(measured, WindowMeasured)
    assert measured.multivariate is not None
    assert (measured.multivariate.auc, measured.multivariate.told_by) == (auc, {"wind": 0.1})
    assert len(found) == drifts
    assert all(isinstance(one, DriftDetected) and one.feature == windows.ALL for one in found)
    assert stated(together, together) == []


def test_a_breach_of_the_data_is_stated_once_per_check_and_subject() -> None:
    broken = replace(
        MEASURE, integrity=(Check("missing", "wind", 0.3, 0.05, True), Check("range", "x", 0.01, 0.05, False))
    )
    measured, breach = stated(broken)
    assert isinstance(measured, WindowMeasured)
    assert [(one.check, one.breached) for one in measured.integrity] == [("missing", True), ("range", False)]
    assert isinstance(breach, IntegrityBreached)
    assert (breach.check, breach.subject, breach.value, breach.threshold) == ("missing", "wind", 0.3, 0.05)
    assert [type(one) for one in stated(broken, MEASURE, broken)] == [WindowMeasured]
    more = replace(broken, integrity=(*broken.integrity, Check("missing", "hour", 0.3, 0.05, True)))
    assert [one.subject for one in stated(broken, more)[1:]] == ["hour"]  # type: ignore[attr-defined]


def test_a_missed_target_is_stated_once() -> None:
    _, breach = stated(MEASURE, BREACH)
    assert isinstance(breach, KpiBreached)
    assert (breach.kpi, breach.value, breach.target) == ("cost", 41.0, 40.0)
    assert [type(one) for one in stated(BREACH, MEASURE, BREACH)] == [WindowMeasured]


def test_the_subject_names_the_window() -> None:
    assert WINDOW.subject == "window/late/1/2013-04-01T00:00:00Z"
