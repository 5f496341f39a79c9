"""An experiment's figures, and what is decided on them."""

from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest

from services.monitor.domain import experiments
from services.monitor.domain.experiment_judging import (
    Breach,
    Decided,
    Observed,
    breaches,
    decided,
    planned_cases,
    results,
    sample_ratio,
)
from services.monitor.domain.experiments import Judge, Start, State, Stop
from services.monitor.domain.quality import Confusion
from shared.events.envelope import Event, Payload
from shared.events.monitor import (
    ExperimentArm,
    ExperimentConcluded,
    ExperimentStarted,
    Guardrail,
    GuardrailBreached,
)
from shared.events.refusal import Refused
from shared.events.registry import Formula

AT = datetime(2026, 3, 1, tzinfo=UTC)
COST = Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0)
RECALL = Guardrail(name="recall", kind="quality", limit=0.5, direction="higher")
DELAY = Guardrail(
    name="delay",
    kind="kpi",
    limit=2.0,
    direction="lower",
    unit="min",
    formula=Formula(kind="cost", false_positive=10.0),
)
PLAN = ExperimentStarted(
    experiment="boost",
    deployment="late",
    model="late-flights",
    kpi="cost",
    unit="USD",
    direction="lower",
    formula=COST,
    control=ExperimentArm(version=1, share=0.5),
    treatments=(ExperimentArm(version=2, share=0.5),),
    minimum_effect=5.0,
    level=0.05,
    power=0.8,
    planned_cases=None,
    counts_from=AT,
    guardrails=(RECALL, DELAY),
)


def counts(wrong: int, cases: int = 10_000) -> Confusion:
    """So many missed ones of so many cases: 300 USD each."""
    return Confusion(1_000, 1_000, wrong, cases - 2_000 - wrong, 0.3)


def arm(wrong: int, cases: int = 10_000, **changed: Any) -> Observed:
    return Observed(changed.pop("predictions", cases), counts(wrong, cases), **changed)


def judged(first: Observed, second: Observed, plan: ExperimentStarted = PLAN) -> Decided | None:
    arms = {1: first, 2: second}
    return decided(plan, results(plan, arms), sample_ratio(plan, arms))


def test_each_arm_is_told_against_the_control_in_money() -> None:
    control, treatment = results(PLAN, {1: arm(1_000), 2: arm(700)})
    assert (control.mean, control.difference, control.low) == (36.0, None, None)
    assert (treatment.mean, treatment.difference) == (27.0, -9.0)
    assert treatment.low < -9.0 < treatment.high < 0  # type: ignore[operator]
    assert treatment.p_value < 1e-4  # type: ignore[operator]
    (segmented,) = results(PLAN, {1: arm(1_000), 2: arm(700)}, looks=10)[1:]
    assert segmented.low < treatment.low  # type: ignore[operator]


@pytest.mark.parametrize(
    ("first", "second", "plan", "verdict", "winner"),
    [
        (arm(1_000), arm(700), {}, "treatment", 2),
        (arm(700), arm(1_000), {}, "control", 1),
        (arm(700), arm(1_000), {"direction": "higher"}, "treatment", 2),
        (arm(100_000, 1_000_000), arm(100_500, 1_000_000), {}, "equivalent", None),
        (arm(1_000), arm(1_000), {"planned_cases": 20_000, "minimum_effect": 1.0}, "inconclusive", None),
        (arm(1_000), arm(700, predictions=8_000), {}, "invalid", None),
        (arm(1_000), arm(700), {"control": ExperimentArm(version=1, share=0.6)}, "invalid", None),
    ],
)
def test_a_verdict_follows_from_the_figures(first, second, plan, verdict, winner) -> None:
    found = judged(first, second, PLAN.model_copy(update=plan))
    assert found is not None
    assert (found.verdict, found.version) == (verdict, winner)
    assert found.reason


def test_nothing_is_decided_early_or_on_few_cases() -> None:
    assert judged(arm(300, 3_000), arm(270, 3_000)) is None
    assert judged(Observed(50, Confusion(0, 0, 50, 0, 0.3)), Observed(50, Confusion(50, 0, 0, 0, 0.3))) is None
    assert decided(PLAN, results(PLAN, {}), sample_ratio(PLAN, {})) is None


def test_of_two_better_ones_the_best_wins_and_the_level_is_shared() -> None:
    arms = (ExperimentArm(version=2, share=0.25), ExperimentArm(version=3, share=0.25))
    plan = PLAN.model_copy(update={"treatments": arms})
    told = results(plan, {1: arm(1_000, 20_000), 2: arm(350), 3: arm(300)})
    found = decided(plan, told, 1.0)
    assert found is not None
    assert (found.verdict, found.version) == ("treatment", 3)
    alone = results(PLAN, {1: arm(1_000, 20_000), 2: arm(350)})[1]
    assert told[1].high - told[1].low > alone.high - alone.low  # type: ignore[operator]


def test_a_guardrail_breaks_only_for_sure() -> None:
    surely = {"figures": {"recall": 0.4}, "intervals": {"recall": (0.35, 0.45)}}
    perhaps = {"figures": {"recall": 0.49}, "intervals": {"recall": (0.45, 0.53)}}
    (found,) = breaches(PLAN, {1: arm(1_000), 2: arm(1_000, **surely)})
    assert (found.version, found.guardrail.name, found.value, found.cases) == (2, "recall", 0.4, 10_000)
    assert breaches(PLAN, {1: arm(1_000), 2: arm(1_000, **perhaps)}) == []
    assert breaches(PLAN, {1: arm(1_000, **surely), 2: arm(1_000)}) == []


def test_a_guardrail_of_a_kpi_is_against_the_control() -> None:
    slow, quick = Confusion(0, 6_000, 0, 4_000, 0.3), Confusion(0, 1_000, 0, 9_000, 0.3)
    arms = {1: arm(1_000, guarded={"delay": quick}), 2: arm(1_000, guarded={"delay": slow})}
    (found,) = breaches(PLAN, arms)
    assert (found.guardrail.name, found.value) == ("delay", 5.0)
    near = {
        1: arm(1_000, guarded={"delay": quick}),
        2: arm(1_000, guarded={"delay": Confusion(0, 2_900, 0, 7_100, 0.3)}),
    }
    assert breaches(PLAN, near) == []


def test_cases_are_planned_from_the_past_of_the_control() -> None:
    needed = planned_cases(PLAN, counts(1_000))
    assert needed is not None
    assert planned_cases(PLAN.model_copy(update={"minimum_effect": 2.5}), counts(1_000)) > 3 * needed  # type: ignore[operator]
    assert (planned_cases(PLAN, Confusion(1, 1, 1, 1, 0.3)), planned_cases(PLAN, None)) == (None, None)


def state(*payloads: Payload) -> State:
    events = [Event(f"e{n}", "/m", "experiments/late", AT, n, "ana", one) for n, one in enumerate(payloads, 1)]
    return reduce(experiments.evolve, events, experiments.initial)


def refused(before: State, command: Any) -> str:
    with pytest.raises(Refused) as found:
        experiments.decide(before, command)
    return found.value.code


WON = Decided("treatment", 2, "cheaper")
TOLD = results(PLAN, {1: arm(1_000), 2: arm(700)})
JUDGE = Judge("boost", TOLD, 1.0, (Breach(2, RECALL, 0.4, 500),), None)


def test_one_experiment_runs_at_a_time_and_a_name_is_used_once() -> None:
    assert experiments.decide(State(), Start(PLAN)) == [PLAN]
    running = state(PLAN)
    assert (
        experiments.decide(running, Start(PLAN.model_copy(update={"counts_from": datetime(2027, 1, 1, tzinfo=UTC)})))
        == []
    )
    assert refused(running, Start(PLAN.model_copy(update={"experiment": "other"}))) == "experiment-running"
    (end,) = experiments.decide(running, Stop("boost", "enough", TOLD, 1.0))
    assert isinstance(end, ExperimentConcluded)
    assert (end.verdict, end.reason, end.results) == ("stopped", "enough", TOLD)
    over = state(PLAN, end)
    assert refused(over, Start(PLAN)) == "experiment-exists"
    assert refused(over, Stop("boost", "")) == "not-running"
    assert experiments.decide(over, Start(PLAN.model_copy(update={"experiment": "other"})))


@pytest.mark.parametrize(
    ("arms", "code"),
    [(((1, 0.5),), "two-roles"), (((2, 0.25), (2, 0.25)), "two-roles"), (((2, 0.0),), "no-share")],
)
def test_a_plan_has_arms_that_can_be_compared(arms, code: str) -> None:
    treatments = tuple(ExperimentArm(version=version, share=share) for version, share in arms)
    assert refused(State(), Start(PLAN.model_copy(update={"treatments": treatments}))) == code


def test_a_breach_is_stated_once_and_an_end_once() -> None:
    (breach,) = experiments.decide(state(PLAN), JUDGE)
    assert isinstance(breach, GuardrailBreached)
    assert (breach.version, breach.guardrail, breach.value, breach.limit) == (2, "recall", 0.4, 0.5)
    told = state(PLAN, breach)
    assert experiments.decide(told, JUDGE) == []
    (end,) = experiments.decide(told, Judge("boost", TOLD, 1.0, JUDGE.breaches, WON))
    assert isinstance(end, ExperimentConcluded)
    assert (end.verdict, end.version, end.sample_ratio_p_value) == ("treatment", 2, 1.0)
    assert experiments.decide(state(PLAN, breach, end), Judge("boost", TOLD, 1.0, JUDGE.breaches, WON)) == []
