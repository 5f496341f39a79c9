"""Alerts, given, when, then: raised after so many windows over, cleared after so many calm ones, and nothing twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from services.monitor.alerting.messages import body_of
from services.monitor.domain.alerts import (
    Observe,
    Retire,
    Seen,
    Silence,
    State,
    Target,
    decide,
    evolve,
    initial,
    summary,
)
from services.monitor.domain.levels import Goal, Level, Rules, levels
from shared.events.envelope import Event
from shared.events.monitor import (
    AlertCleared,
    AlertKind,
    AlertRaised,
    Drift,
    FairnessMeasured,
    Finding,
    IntegrityCheck,
    KpiValue,
    MultivariateDrift,
    WindowMeasured,
)
from tests.replay.samples import sample

DAY = timedelta(days=1)
FIRST = datetime(2013, 4, 1, tzinfo=UTC)
TARGET = Target("late", "late-flights", 1, "drift")
WIND = Finding(name="wind", statistic="psi", value=0.3, threshold=0.2)
RULES = Rules(psi=0.2, auc=0.65, clear=0.8, margin=0.02)
OVER, NEAR, CALM = "over", "near", "calm"


def seen(day: int, level: str) -> Seen:
    return Seen(FIRST + day * DAY, FIRST + (day + 1) * DAY, (WIND,) if level == OVER else (), level == NEAR)


def observe(*days: str, alert: str = "a", raise_after: int = 2, clear_after: int = 2) -> Observe:
    """The windows of these days, told oldest first."""
    found = [seen(day, level) for day, level in enumerate(days)]
    return Observe(TARGET, tuple(reversed(found)), raise_after, clear_after, alert)


def event(payload: AlertRaised | AlertCleared) -> Event:
    return sample(payload)


def test_it_is_raised_after_windows_in_a_row_and_says_since_when() -> None:
    assert decide(initial, observe(OVER)) == []
    assert decide(initial, observe(OVER, CALM, OVER)) == []
    (raised,) = decide(initial, observe(CALM, OVER, OVER))
    assert isinstance(raised, AlertRaised)
    assert (raised.alert, raised.kind, raised.windows, raised.since) == ("a", "drift", 2, FIRST + DAY)
    assert (raised.window_start, raised.findings) == (FIRST + 2 * DAY, (WIND,))
    assert raised.summary == "Inputs drifted in 2 windows in a row: wind."


def test_an_open_alert_is_not_raised_again_and_clears_only_when_it_is_calm() -> None:
    state = State("a", FIRST + DAY)
    for days in ((OVER, OVER, OVER), (OVER, OVER, CALM), (OVER, OVER, CALM, NEAR), (OVER, OVER, NEAR, NEAR, NEAR)):
        assert decide(state, observe(*days)) == []
    (cleared,) = decide(state, observe(OVER, OVER, NEAR, CALM, CALM))
    assert isinstance(cleared, AlertCleared)
    assert (cleared.alert, cleared.windows, cleared.window_start) == ("a", 2, FIRST + 4 * DAY)


def test_a_figure_at_the_edge_tells_once() -> None:
    days = [OVER, OVER, NEAR, OVER, NEAR, OVER, NEAR, CALM, OVER, NEAR]
    assert kinds_told(days) == ["AlertRaised"]


def test_windows_of_a_replay_change_nothing() -> None:
    state = State(None, FIRST + 5 * DAY)
    assert decide(state, observe(OVER, OVER, OVER)) == []
    assert decide(state, observe(OVER, OVER, OVER, OVER, OVER, OVER, OVER)) == []  # one fresh window is not enough
    assert len(decide(state, observe(*[OVER] * 8))) == 1


def revised(*days: tuple[str, str]) -> Observe:
    """The windows of these days, each with its level and the event that told it last."""
    found = [replace(seen(day, level), told=told) for day, (level, told) in enumerate(days)]
    return Observe(TARGET, tuple(reversed(found)), 2, 2, "b")


def test_windows_that_were_revised_since_count_again() -> None:
    state = State("a", FIRST + DAY, "e2")
    assert decide(state, revised((OVER, "e1"), (CALM, "e3"))) == []
    (cleared,) = decide(state, revised((CALM, "e4"), (CALM, "e3")))
    assert isinstance(cleared, AlertCleared)
    calm = State(None, FIRST + DAY, "e4")
    assert decide(calm, revised((OVER, "e5"), (CALM, "e3"))) == []
    assert decide(calm, revised((OVER, "e5"), (OVER, "e3"))) == []  # what told it is older than what was decided
    (raised,) = decide(calm, revised((OVER, "e5"), (OVER, "e6")))
    assert isinstance(raised, AlertRaised)
    (raised,) = decide(calm, revised((CALM, "e4"), (OVER, "e6"), (OVER, "e7")))
    assert isinstance(raised, AlertRaised)


def test_what_decided_is_remembered_and_a_retirement_is_final() -> None:
    (raised,) = decide(initial, revised((OVER, "e1"), (OVER, "e2")))
    assert isinstance(raised, AlertRaised)
    state = evolve(initial, structs.replace(event(raised), causationid="e2"))
    assert state == State("b", FIRST + DAY, "e2")
    (cleared,) = decide(state, Retire(TARGET, FIRST + 9 * DAY))
    assert isinstance(cleared, AlertCleared)
    retired = evolve(state, structs.replace(event(cleared), causationid="e3"))
    assert decide(retired, revised((OVER, "e4"), (OVER, "e5"))) == []


def kinds_told(days: list[str], deliveries: list[int] | None = None) -> list[str]:
    """What is stated as the windows come in, each delivered so often."""
    state, told = initial, []
    for day in range(len(days)):
        for _ in range(deliveries[day] if deliveries else 1):
            for payload in decide(state, observe(*days[: day + 1], alert=f"a{day}")):
                assert isinstance(payload, AlertRaised | AlertCleared)
                told.append(type(payload).__name__)
                state = evolve(state, event(payload))
    return told


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([OVER, NEAR, CALM]), max_size=15), st.data())
def test_raised_and_cleared_take_turns_whatever_is_delivered_again(days: list[str], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.integers(1, 3), min_size=len(days), max_size=len(days)))
    told = kinds_told(days)
    assert told == kinds_told(days, again)
    assert told == ["AlertRaised", "AlertCleared"] * (len(told) // 2) + ["AlertRaised"] * (len(told) % 2)


def test_silence_is_raised_at_once_and_cleared_by_the_next_prediction() -> None:
    target = Target("late", "late-flights", 1, "silence")
    silent = Silence(target, True, FIRST, FIRST + DAY, 3_600, "a")
    (raised,) = decide(initial, silent)
    assert isinstance(raised, AlertRaised)
    assert raised.summary == "No prediction came for 3,600 s, since 2013-04-01 00:00:00Z."
    state = evolve(initial, event(raised))
    assert decide(state, silent) == []
    heard = Silence(target, False, FIRST + 2 * DAY, FIRST + 2 * DAY, 0, "b")
    (cleared,) = decide(state, heard)
    assert isinstance(cleared, AlertCleared)
    after = evolve(state, event(cleared))
    assert decide(after, heard) == []
    assert decide(after, silent) == []  # of a replay


def test_what_is_retired_clears_once() -> None:
    retired = Retire(TARGET, FIRST + 9 * DAY)
    (cleared,) = decide(State("a", FIRST), retired)
    assert isinstance(cleared, AlertCleared)
    assert (cleared.alert, cleared.summary) == ("a", "The deployment was retired.")
    assert decide(evolve(initial, event(cleared)), retired) == []


def test_a_summary_names_a_few() -> None:
    found = [WIND.model_copy(update={"name": name}) for name in ("a", "b", "c", "d", "*")]
    assert summary("drift", found, 1) == "Inputs drifted in the last window: a, b, c and 2 more."
    assert summary("kpi", found[:1], 3) == "Targets were missed in 3 windows in a row: a."
    assert summary("drift", found[4:], 1) == "Inputs drifted in the last window: all features together."
    product = WIND.model_copy(update={"name": "wind*hour"})
    assert summary("drift", [product], 1) == "Inputs drifted in the last window: wind*hour."


def test_a_summary_of_quality_says_what_it_was_before() -> None:
    fell = Finding(name="auc", statistic="reference", value=0.60123, threshold=0.65, base=0.7)
    least = Finding(name="mae", statistic="bound", value=12.0, threshold=10.0)
    told = "Quality was worse than it should be in 2 windows in a row: auc 0.6012 (registered 0.7), mae 12 (bound 10)."
    assert summary("quality", [fell, least], 2) == told
    assert summary("estimated_quality", [fell], 1) == (
        "Quality, as estimated before outcomes come, was worse than it should be in the last window: "
        "auc 0.6012 (registered 0.7)."
    )


def test_receivers_are_told_in_words() -> None:
    def lines(kind: AlertKind, *findings: Finding) -> list[str]:
        (raised,) = decide(
            initial, Observe(replace(TARGET, kind=kind), (Seen(FIRST, FIRST + DAY, findings, False),), 1, 1, "a")
        )
        assert isinstance(raised, AlertRaised)
        return json.loads(body_of(event(raised), raised, "slack"))["text"].splitlines()

    together = Finding(name="*", statistic="domain_classifier_auc", value=0.7, threshold=0.65)
    assert lines("drift", together)[2:] == ["• all features together domain_classifier_auc 0.7 (threshold 0.65)"]
    fell = Finding(name="auc", statistic="past", value=0.6, threshold=0.65, base=0.7, estimated=True)
    head, _, line = lines("estimated_quality", fell)
    assert head == ":rotating_light: *late* version 1: estimated quality"
    assert line == "• auc 0.6, estimated (windows before 0.7, threshold 0.65)"


def measured(**figures: object) -> WindowMeasured:
    return WindowMeasured(
        deployment="late",
        model="late-flights",
        version=1,
        window_start=FIRST,
        window_end=FIRST + DAY,
        revision=0,
        predictions=10,
        outcomes=0,
        **figures,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("psi", "drifted", "level"),
    [
        (0.3, [WIND], Level((WIND,), True)),
        (0.25, [WIND], Level((WIND.model_copy(update={"value": 0.25}),), True)),
        (0.19, [WIND], Level((), True)),  # a revision under the threshold, yet close to it
        (0.15, [WIND], Level((), False)),
        (0.3, [], Level((), True)),  # reached, but not said to be drift: chance explains it
        (0.1, [], Level((), False)),
    ],
)
def test_drift_counts_where_it_was_detected_and_still_holds(psi: float, drifted: list[Finding], level: Level) -> None:
    assert levels(measured(drift=(Drift(feature="wind", psi=psi),)), drifted, {}, RULES) == {"drift": level}


def test_drift_of_all_together_is_measured_from_one_half() -> None:
    found = MultivariateDrift(auc=0.63, p_value=0.001, rows=100, base_rows=100)
    assert levels(measured(multivariate=found), [], {}, RULES)["drift"] == Level((), True)
    calm = found.model_copy(update={"auc": 0.61})
    assert levels(measured(multivariate=calm), [], {}, RULES)["drift"] == Level((), False)


def test_checks_targets_and_groups() -> None:
    checks = (
        IntegrityCheck(check="missing", subject="wind", value=0.2, threshold=0.1, breached=True),
        IntegrityCheck(check="range", subject="hour", value=0.09, threshold=0.1, breached=False),
        IntegrityCheck(check="traffic", subject="", value=0.1, threshold=0.5, breached=True),
    )
    kpis = (
        KpiValue(kpi="cost", unit="USD", total=450, cases=10, per_case=45.0),
        KpiValue(kpi="auc", unit="", total=0.7, cases=10, per_case=0.705),
        KpiValue(kpi="none", unit="", total=0.7, cases=10, per_case=0.7),
    )
    groups = (FairnessMeasured(attribute="origin", disparities={"demographic_parity_ratio": 0.7}, adverse=("JFK",)),)
    goals = {"cost": Goal("lower", 40.0), "auc": Goal("higher", 0.7)}
    found = levels(measured(integrity=checks, kpis=kpis, fairness=groups), [], goals, RULES)
    told = {kind: [(one.name, one.statistic, one.value) for one in level.over] for kind, level in found.items()}
    assert told == {
        "integrity": [("wind", "missing", 0.2)],
        "traffic": [("", "traffic", 0.1)],
        "kpi": [("cost", "per_case", 45.0)],
        "fairness": [("origin: JFK", "selection_ratio", 0.7)],
    }
    assert (found["integrity"].near, found["kpi"].near) == (True, True)
    calm = levels(measured(kpis=kpis[1:]), [], {"auc": Goal("higher", 0.6)}, RULES)
    assert calm == {"kpi": Level((), False)}


def test_a_window_is_judged_by_the_target_that_it_was_measured_against() -> None:
    value = KpiValue(kpi="cost", unit="USD", total=450, cases=10, per_case=45.0, direction="lower", target=40.0)
    moved = {"cost": Goal("lower", 1_000.0)}
    (finding,) = levels(measured(kpis=(value,)), [], moved, RULES)["kpi"].over
    assert finding.threshold == 40.0
    untargeted = value.model_copy(update={"target": None})
    assert levels(measured(kpis=(untargeted,)), [], moved, RULES) == {}
