"""KPIs, costs and comparisons, from the rows and from the window's state."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from services.monitor.domain.cost import baselines, by_threshold, cost, mean_and_variance
from services.monitor.domain.experiment import Arm, Comparison, compare, winner
from services.monitor.domain.kpi import Kpi, score_column, threshold_of, value
from services.monitor.domain.plan import Output, Plan, plan_of, resolved
from services.monitor.domain.quality import Confusion, confusion, quality
from shared.events.registry import Field, Formula, Protected, Signature
from tests.unit.monitor.judged_rows import binary_rows, counted

COST = Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0, true_positive=5.0)
KPI = Kpi("cost", "USD", "lower", 40.0, COST)


def sample(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 3, rows)
    return score, (rng.random(rows) < score).astype(float)


def spent(called: np.ndarray, truth: np.ndarray) -> float:
    """The money, row by row."""
    late = truth == 1
    return float(60 * (called & ~late).sum() + 300 * (~called & late).sum() + 5 * (called & late).sum())


@given(binary_rows())
@settings(max_examples=60, deadline=None)
def test_a_cost_is_the_money_of_the_rows(rows) -> None:
    score, truth = rows
    found = value(KPI, counted(score, truth), "binary")
    assert found is not None
    total = spent(score >= 0.3, truth)
    assert (found.total, found.cases, found.unit) == (total, len(score), "USD")
    assert found.per_case == pytest.approx(total / len(score), rel=1e-9)


@given(binary_rows(), st.sampled_from(["lower", "higher"]))
@settings(max_examples=60, deadline=None)
def test_baselines_are_what_the_same_rows_had_cost(rows, direction: str) -> None:
    score, truth = rows
    found = baselines(COST, counted(score, truth), direction)
    nobody, everybody = np.zeros(len(score), bool), np.ones(len(score), bool)
    assert (found.never, found.always) == (spent(nobody, truth), spent(everybody, truth))
    assert found.perfect == spent(truth == 1, truth)
    curve = [spent(score >= cell / 1_000, truth) for cell in range(1_001)] + [found.never]
    assert by_threshold(COST, counted(score, truth)).tolist() == curve
    assert found.best == (min(curve) if direction == "lower" else max(curve))
    assert curve[round(found.best_threshold * 1_000)] == found.best


def test_a_cost_needs_a_yes_or_no() -> None:
    scores = counted(*sample(1))
    assert value(KPI, scores, "regression") is None
    assert value(KPI, counted(np.empty(0), np.empty(0)), "binary") is None


def test_one_odd_outcome_changes_no_cost() -> None:
    score, truth = sample(3)
    odd = counted(np.append(score, 0.9), np.append(truth, 2.5))
    assert value(KPI, odd, "binary") == value(KPI, counted(score, truth), "binary")


def test_a_metric_kpi_is_a_figure_by_name_and_targets_have_a_direction() -> None:
    scores = counted(*sample(2))
    found = value(Kpi("auc", "", "higher", 0.99, Formula(kind="metric", metric="auc")), scores, "binary")
    assert found is not None
    assert found.per_case == quality(scores, "binary", 0.5).figures["auc"]
    assert value(Kpi("x", "", "higher", None, Formula(kind="metric", metric="nothing")), scores, "binary") is None
    assert (KPI.breached(41), KPI.breached(40)) == (True, False)
    assert Kpi("a", "", "higher", 0.7, COST).breached(0.6)
    assert not Kpi("a", "", "higher", None, COST).breached(0.6)


def test_a_formula_is_money_of_any_metric() -> None:
    score, truth = np.array([10.0, 20.0]), np.array([12.0, 17.0])
    formula = Formula(kind="formula", expression="4 * mae * cases + 1 * predictions")
    found = value(Kpi("fuel", "EUR", "lower", 9.0, formula), counted(score, truth, "regression"), "regression")
    assert found is not None
    assert (found.total, found.per_case, found.cases) == (20.0, 10.0, 2)
    unknown = Formula(kind="formula", expression="auc * 2")
    assert value(Kpi("x", "", "lower", None, unknown), counted(score, truth, "regression"), "regression") is None


def test_the_score_is_what_a_kpi_names_else_the_first_number() -> None:
    named = Kpi("k", "", "lower", None, Formula(kind="cost", output="q", threshold=0.2))
    assert score_column([named], ["p", "q"]) == "q"
    assert score_column([KPI], ["p", "q"]) == "p"
    assert score_column([KPI], []) is None
    assert (threshold_of([KPI, named]), threshold_of([])) == (0.3, 0.5)


@pytest.mark.parametrize(
    ("task", "output", "formulas", "metrics", "expected"),
    [
        ("regression", "probability", [COST], {}, "regression"),
        (None, "y", [COST], {}, "binary"),
        (None, "y", [Formula(kind="metric", metric="auc")], {}, "binary"),
        (None, "probability", [Formula(kind="metric", metric="mae")], {}, "regression"),
        (None, "y", [COST.model_copy(update={"output": "z"})], {}, "regression"),
        (None, "y", [], {"auc": 0.7}, "binary"),
        (None, "score", [], {"rmse": 3.0}, "regression"),
        (None, "churn_probability", [], {}, "binary"),
        (None, "p", [], {}, "binary"),
        (None, "minutes", [], {}, "regression"),
        (None, "price", [], {}, "regression"),
    ],
)
def test_the_kind_of_problem_is_registered_or_follows_from_what_is(task, output, formulas, metrics, expected) -> None:
    assert resolved(task, output, formulas, metrics) == expected


def test_a_plan_follows_from_the_signature() -> None:
    outputs = [("label", "string"), ("sure", "boolean"), ("p", "double"), ("n", "long")]
    signature = Signature(inputs=(), outputs=tuple(Field(name=name, type=kind) for name, kind in outputs))  # type: ignore[arg-type]
    protected = [Protected(name="origin"), Protected(name="age", feature="years", edges=(30.0,))]
    plan = plan_of(signature, "binary", (), protected, 7)
    assert plan.outputs == (Output("sure", "binary"), Output("p", "binary"), Output("n", "binary"))
    assert (plan.columns, plan.limit) == (("segment", "feature.years"), 7)
    classes = plan_of(signature, "multiclass", ("a", "b"), (), 50)
    assert [(one.name, one.classes) for one in classes.outputs] == [(n, ("a", "b")) for n in ("label", "sure", "n")]
    assert (classes.task("label"), classes.classes("label"), classes.task("p")) == ("multiclass", ("a", "b"), None)
    assert plan_of(Signature(inputs=(), outputs=()), None, (), (), 50) == Plan()


counts = st.builds(Confusion, *[st.integers(0, 60)] * 4, st.just(0.3))


@given(counts, counts)
@settings(max_examples=80, deadline=None)
def test_a_comparison_agrees_with_scipy(champion: Confusion, other: Confusion) -> None:
    def costs(one: Confusion) -> np.ndarray:
        parts: list[Any] = [[5.0] * one.true_positive, [60.0] * one.false_positive, [300.0] * one.false_negative]
        return np.concatenate([*parts, [0.0] * one.true_negative])

    found = compare(COST, Arm(1, champion), Arm(2, other))
    a, b = costs(other), costs(champion)
    if len(a) < 2 or len(b) < 2:
        assert found.p_value is None
        return
    error = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-6)
    if error > 0:
        assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(a.mean() - b.mean()) / error), abs=1e-9)
        assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.975) * error, rel=1e-6)  # type: ignore[operator]


def test_mean_and_variance_of_nothing_are_unknown() -> None:
    assert all(math.isnan(number) for number in mean_and_variance(COST, Confusion(0, 0, 0, 0, 0.3)))
    assert cost(COST, confusion(counted(*sample(1)), 0.3)) == spent(sample(1)[0] >= 0.3, sample(1)[1])


def against(version: int, difference: float, p_value: float | None) -> Comparison:
    return Comparison(version, 100, 1.0, difference, 0.0, 0.0, p_value)


@pytest.mark.parametrize(
    ("others", "direction", "expected"),
    [
        ([], "lower", None),
        ([against(2, -5.0, 0.01)], "lower", 2),
        ([against(2, -5.0, 0.06)], "lower", None),
        ([against(2, -5.0, None)], "lower", None),
        ([against(2, 5.0, 0.01)], "lower", 1),
        ([against(2, 5.0, 0.01)], "higher", 2),
        ([against(2, -5.0, 0.04), against(3, 1.0, 0.5)], "lower", None),
        ([against(2, -5.0, 0.01), against(3, -9.0, 0.02)], "lower", 3),
        ([against(2, 5.0, 0.01), against(3, 1.0, 0.5)], "lower", None),
    ],
)
def test_a_winner_needs_proof_beyond_chance(others: list[Comparison], direction: str, expected: int | None) -> None:
    assert winner(1, others, direction) == expected
