"""Drift against SciPy, computed there from the values and here from the windows' states."""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from services.monitor.domain.bins import bins_of
from services.monitor.domain.drift import Base, FeatureDrift, Rule, drift
from services.monitor.domain.drift.categories import category_groups
from services.monitor.domain.drift.numbers import GROUPS, group_starts
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.multivariate import auc, domain_classifier
from services.monitor.domain.reference import reference_of
from services.monitor.domain.rows import Rows
from services.monitor.domain.statistics import EPSILON, adjusted, chi_square, jensen_shannon, kolmogorov_p, pooled, psi
from shared.events.registry import Field, Signature
from tests.unit.monitor.drawn import KINDS, bins_for, compared, one_column

NONE = Signature(inputs=(), outputs=())
LEAST = 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moved", [False, True])
def test_ks_and_wasserstein_are_those_of_scipy_within_the_stated_error(kind: str, moved: bool) -> None:
    rng = np.random.default_rng(7)
    reference, now = KINDS[kind](rng, 4_000), KINDS[kind](rng, 3_000)
    if moved:
        now = np.clip(now[: len(now) // 3], -1e308, 1e308) * 1.5
    found = compared(now, reference)
    assert found.ks is not None
    assert found.ks_error is not None
    true = stats.ks_2samp(now, reference, method="asymp").statistic
    assert found.ks <= true + LEAST
    assert true <= found.ks + found.ks_error + LEAST
    if kind == "extremes":
        return  # differences of such numbers leave the doubles
    area = stats.wasserstein_distance(now, reference)
    assert found.wasserstein is not None
    assert found.wasserstein_error is not None
    assert abs(found.wasserstein - area) <= found.wasserstein_error * (1 + LEAST) + LEAST * max(area, np.abs(now).max())


@pytest.mark.parametrize("kind", ["normal", "cauchy", "counts", "int64 edges"])
@pytest.mark.parametrize("most", [1e307, 1e308, 1.7976931348623157e308])
def test_an_area_of_the_largest_doubles_is_bounded_or_not_told(kind: str, most: float) -> None:
    rng = np.random.default_rng(2)
    reference, now = KINDS[kind](rng, 800), rng.choice([most, -most, most / 2, 0.0], 400)
    found = compared(now, reference)
    if most > 1e308:
        assert (found.wasserstein, found.wasserstein_error, found.wasserstein_normed) == (None, None, None)
        return
    area = float(np.mean(np.abs(now) / 1e10)) * 1e10  # the reference is as good as 0
    assert found.wasserstein is not None
    assert found.wasserstein_error is not None
    assert abs(found.wasserstein - area) <= found.wasserstein_error * (1 + LEAST) + LEAST * area


@pytest.mark.parametrize("kind", ["normal", "uniform", "lognormal", "years", "float32", "timestamps"])
def test_the_error_of_continuous_features_is_small(kind: str) -> None:
    rng = np.random.default_rng(8)
    found = compared(KINDS[kind](rng, 5_000), KINDS[kind](rng, 10_000))
    assert found.ks_error is not None
    assert found.ks_error < 0.05
    assert found.wasserstein_error is not None
    assert found.wasserstein_error < 0.05 * KINDS[kind](rng, 10_000).std()


@pytest.mark.parametrize("span", [1, 24, 200])
def test_whole_numbers_of_a_cell_each_are_exact(span: int) -> None:
    rng = np.random.default_rng(span)
    reference, now = rng.integers(0, span + 1, 2_000), rng.integers(0, span + 1, 1_500) // 2
    reference[:2] = 0, span
    found = compared(now, reference, "long")
    assert (found.ks_error, found.wasserstein_error) == (0.0, 0.0)
    assert found.ks == pytest.approx(stats.ks_2samp(now, reference).statistic, abs=1e-9)
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(now, reference), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_hold_what_the_values_say(kind: str) -> None:
    """PSI, Jensen-Shannon and chi-square of the groups against SciPy on the same groups, counted by the cells."""
    rng = np.random.default_rng(9)
    reference, now = KINDS[kind](rng, 4_000), KINDS[kind](rng, 3_000) * 1.01
    bins = bins_for(reference)
    cells = [bins["x"].grid.cells(one) for one in (now, reference)]
    starts = group_starts(np.bincount(cells[1], minlength=384))
    mine, its = (np.bincount(np.searchsorted(starts, one, side="right") - 1, minlength=len(starts)) for one in cells)
    found = compared(now, reference)
    p, q = np.maximum(mine / mine.sum(), EPSILON), np.maximum(its / its.sum(), EPSILON)
    assert found.psi == pytest.approx(float(((p - q) * np.log(p / q)).sum()), rel=1e-9)
    assert found.jensen_shannon == pytest.approx(distance.jensenshannon(mine, its, base=2), rel=1e-9, abs=1e-9)
    if len(starts) > 1 and stats.contingency.expected_freq([mine, its]).min() >= 5:
        told = stats.chi2_contingency([mine, its], correction=False)
        assert found.chi_square == pytest.approx(told.statistic, rel=1e-9)
        assert found.degrees == told.dof


@pytest.mark.parametrize("kind", ["normal", "uniform", "lognormal", "cauchy", "years", "timestamps"])
def test_groups_of_continuous_features_are_tenths_of_the_reference(kind: str) -> None:
    reference = KINDS[kind](np.random.default_rng(10), 20_000)
    cells = np.bincount(bins_for(reference)["x"].grid.cells(reference), minlength=384)
    groups = np.add.reduceat(cells, group_starts(cells))
    assert len(groups) == GROUPS
    assert np.abs(groups / len(reference) - 0.1).max() < 0.05


@given(st.lists(st.integers(0, 50), min_size=384, max_size=384).filter(any))
@settings(max_examples=50, deadline=None)
def test_groups_cover_all_cells_and_a_cell_of_a_tenth_is_one_by_itself(counts: list[int]) -> None:
    cells = np.array(counts)
    starts = group_starts(cells)
    assert starts == sorted({0, *starts})
    heavy = [cell for cell, count in enumerate(counts) if count * GROUPS >= sum(counts)]
    assert all(cell in starts and (cell + 1 in starts or cell == len(counts) - 1) for cell in heavy)
    assert len(starts) <= GROUPS + 2 * len(heavy)
    ends = [*starts[1:], len(counts)]
    alone = [start for start, end in zip(starts, ends, strict=True) if start in heavy and end == start + 1]
    assert alone == heavy
    assert psi(np.add.reduceat(cells, starts), np.add.reduceat(cells, starts)) == 0


@pytest.mark.parametrize("moved", [7.75, 7.55, -1e9, 1e300])
def test_a_constant_that_became_another_has_drifted(moved: float) -> None:
    found = compared(np.full(500, moved), np.full(400, 7.25))
    assert Rule().reached(replace(found, adjusted_p_value=found.p_value)) is not None
    assert found.ks == 1.0


def test_what_lies_beside_zero_is_no_zero() -> None:
    """Most of the reference is 0: values just below it, which it never had, are a group of their own."""
    rng = np.random.default_rng(4)
    reference = np.where(rng.random(2_000) < 0.8, 0.0, rng.exponential(1.0, 2_000))
    assert compared(np.where(rng.random(2_000) < 0.5, -0.5, reference), reference).psi > 1


counts_of = st.lists(st.integers(0, 400), min_size=2, max_size=12)


@given(counts_of, st.data())
@settings(max_examples=100, deadline=None)
def test_distances_and_tests_of_counts_are_those_of_scipy(now: list[int], data: st.DataObject) -> None:
    base = data.draw(st.lists(st.integers(0, 400), min_size=len(now), max_size=len(now)))
    mine, its = np.array(now), np.array(base)
    if not mine.sum() or not its.sum():
        return
    assert jensen_shannon(mine, its) == pytest.approx(distance.jensenshannon(mine, its, base=2), abs=1e-7)
    test, table = chi_square(mine, its), pooled(np.stack([mine, its]).astype(float))
    assert (table.sum(axis=1) == [mine.sum(), its.sum()]).all()
    if table.shape[1] < 2:
        assert (test.degrees, test.p_value) == (0, 1.0)
        return
    told = stats.chi2_contingency(table, correction=False)
    assert test.statistic == pytest.approx(told.statistic, rel=1e-9, abs=1e-9)
    assert (test.degrees, test.p_value) == (told.dof, pytest.approx(told.pvalue, rel=1e-6, abs=1e-12))
    expected = stats.contingency.expected_freq(table)
    assert (expected.min(axis=0) >= 5).sum() >= table.shape[1] - 1


@given(st.lists(st.floats(0, 1), max_size=40))
@settings(max_examples=60, deadline=None)
def test_adjusted_p_values_are_those_of_scipy(p_values: list[float]) -> None:
    assert adjusted(p_values) == pytest.approx(stats.false_discovery_control(p_values).tolist() if p_values else [])


@pytest.mark.parametrize(("d", "n", "m"), [(0.0, 10, 10), (0.05, 1_000, 2_000), (0.3, 100, 80), (1.0, 500, 500)])
def test_the_p_value_of_ks_is_that_of_its_limit(d: float, n: int, m: int) -> None:
    assert kolmogorov_p(d, n, m) == pytest.approx(stats.kstwobign.sf(d * np.sqrt(n * m / (n + m))), abs=1e-12)


def test_a_thousand_features_without_drift_do_not_cry_wolf() -> None:
    """No drift in 3 windows of 1,000 features, a fifth of them of categories: at the level of 0.05 a window gives any
    alarm with a chance of at most 0.05, so two of three are as good as impossible (p < 0.01)."""
    rng, features, level = np.random.default_rng(11), 1_000, 0.05
    draws = [
        (lambda n: rng.normal(size=n), lambda n: rng.exponential(size=n), lambda n: rng.integers(0, 9, n), None, None)[
            place % 4 if place % 5 else 3
        ]
        for place in range(features)
    ]

    def sample(rows: int) -> dict[str, np.ndarray]:
        return {
            f"f{place}": rng.choice(["a", "b", "c", "d"], rows, p=[0.6, 0.3, 0.09, 0.01])
            if draw is None
            else draw(rows)
            for place, draw in enumerate(draws)
        }

    reference = {name: values.tolist() for name, values in sample(800).items()}
    bins = bins_of(NONE, reference)
    base = Base(reference_of(reference, bins), bins)
    alarms, small = 0, []
    for _ in range(3):
        batch = pa.record_batch({f"feature.{name}": values for name, values in sample(400).items()})
        found = drift(sketch_of(batch, bins), bins, base)
        alarms += any(one.adjusted_p_value <= level for one in found)
        small += [one.p_value <= level for one in found]
    assert alarms <= 1
    assert np.mean(small) <= level * 1.2  # each test alone holds its level, too


def test_one_feature_of_a_thousand_that_drifts_is_found() -> None:
    rng = np.random.default_rng(12)
    reference = {f"f{place}": rng.normal(size=1_000).tolist() for place in range(300)}
    bins = bins_of(NONE, reference)
    now = pa.record_batch({f"feature.f{place}": rng.normal(place == 7, 1, 800) for place in range(300)})
    found = drift(sketch_of(now, bins), bins, Base(reference_of(reference, bins), bins))
    assert [one.feature for one in found if Rule().reached(one)] == ["f7"]


@pytest.mark.parametrize(
    ("rule", "rows", "p_value", "expected"),
    [
        (Rule(), 500, 0.001, ("psi", 0.3, 0.2)),
        (Rule({"psi": 0.3}), 500, 0.001, ("psi", 0.3, 0.3)),
        (Rule({"psi": 0.31}), 500, 0.001, None),
        (Rule({"psi": 0.31, "ks": 0.1}), 500, 0.001, ("ks", 0.1, 0.1)),
        (Rule({"wasserstein_normed": 0.0}), 500, 0.001, None),
        (Rule(), 99, 0.001, None),
        (Rule(), 500, 0.02, None),
        (Rule(level=0.05), 500, 0.02, ("psi", 0.3, 0.2)),
    ],
)
def test_drift_needs_effect_proof_and_rows(
    rule: Rule, rows: int, p_value: float, expected: tuple[str, float, float] | None
) -> None:
    one = FeatureDrift("x", "numeric", 0.3, rows, jensen_shannon=0.2, ks=0.1, adjusted_p_value=p_value)
    assert rule.reached(one) == expected


def test_categories_missing_and_new_values_are_groups_of_their_own() -> None:
    now = pa.array(["a"] * 300 + ["b"] * 400 + ["c"] * 150 + ["d"] * 50 + [None] * 100)
    found = compared(now, ["a"] * 500 + ["b"] * 400 + [None] * 100, "string")
    p, q = np.array([0.3, 0.4, 0.2, 0.1]), np.array([0.5, 0.4, EPSILON, 0.1])
    assert found.psi == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    assert (found.kind, found.rows, found.new, found.missing) == ("categorical", 1_000, pytest.approx(2 / 9), 0.1)
    told = stats.chi2_contingency([[300, 400, 200, 100], [500, 400, 0, 100]], correction=False)
    assert (found.chi_square, found.degrees) == (pytest.approx(told.statistic), told.dof)
    assert found.p_value == pytest.approx(told.pvalue, rel=1e-6)


def test_rare_categories_are_one_group() -> None:
    rng = np.random.default_rng(13)
    names = [f"c{place}" for place in range(200)]
    shares = np.arange(200, 0, -1) / np.arange(200, 0, -1).sum()
    now, reference = rng.choice(names, 2_000, p=shares), rng.choice(names, 3_000, p=shares).tolist()
    found = compared(pa.array(now), reference, "string")
    assert found.psi < 0.1
    assert found.p_value > 0.001
    assert found.degrees <= 52


def test_what_the_base_counted_without_names_is_not_new() -> None:
    few = sketch_of(pa.record_batch({"feature.c": [f"u{place}" for place in range(50)]}), {}, 10).categories["c"]
    groups, base_groups, new = category_groups(few, few)
    assert (new, groups.tolist()) == (None, base_groups.tolist())


def test_whether_a_value_is_new_is_not_told_where_the_reference_has_too_many_to_name() -> None:
    reference = [f"r{place}" for place in range(2_001)]
    found = compared(pa.array([f"n{place}" for place in range(200)]), reference, "string")
    assert found.new is None
    assert found.psi < 0.1
    assert compared(pa.array(reference[:1] * 200), reference, "string").new == 0.0


def test_new_values_are_told_exactly_of_references_with_more_values_than_are_declared() -> None:
    reference = [f"r{place}" for place in range(1_500)]
    assert compared(pa.array([*reference, *(f"n{place}" for place in range(500))]), reference, "string").new == 0.25
    assert compared(pa.array([f"n{place}" for place in range(1_200)]), reference, "string").new is None
    assert compared(pa.array([f"n{place}" for place in range(1_200)]), ["r", "s"], "string").new == 1.0


def test_a_feature_that_went_missing_has_drifted_and_one_that_came_back_too() -> None:
    gone = compared(pa.array([None] * 200, pa.float64()), [float(x) for x in range(100)])
    assert gone.psi > 5
    assert (gone.missing, gone.ks, gone.wasserstein) == (1.0, None, None)
    assert gone.p_value < 1e-6
    half = compared(pa.array([1.0, None] * 200), [float(x) for x in range(100)] * 4)
    assert half.p_value < 1e-6


def test_figures_of_the_largest_numbers_are_finite_or_none_so_that_what_is_stated_equals_itself() -> None:
    with np.errstate(over="ignore"):
        found = compared(np.array([1.7e308, -1.7e308] * 100), [1.7e308] * 10 + [-1.7e308] * 90)
    figures = [one for one in asdict(found).values() if isinstance(one, float)]
    assert np.isfinite(figures).all()
    assert found.ks == pytest.approx(0.4)


def test_booleans_are_categories() -> None:
    found = compared(pa.array([True] * 150 + [False] * 50), [True, False] * 100, "boolean")
    told = stats.chi2_contingency([[50, 150], [100, 100]], correction=False)
    assert (found.kind, found.new, found.chi_square) == ("categorical", 0.0, pytest.approx(told.statistic))


def test_nothing_to_compare_is_nothing() -> None:
    bins = bins_for([1.0, 2.0])
    base = Base(reference_of({"x": [1.0, 2.0]}, bins), bins)
    assert drift(sketch_of(pa.record_batch({"feature.y": [1.0]}), bins), bins, base) == []


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"extremes"}))
def test_windows_counted_in_other_cells_are_compared_within_the_stated_error(kind: str) -> None:
    """The champion's cells come from another reference."""
    rng = np.random.default_rng(14)
    bins, other = bins_for(KINDS[kind](rng, 2_000)), bins_for(KINDS[kind](rng, 2_000) * 1.3)
    now, its = KINDS[kind](rng, 3_000), KINDS[kind](rng, 2_500) * 1.2
    (found,) = drift(sketch_of(one_column(now), bins), bins, Base(sketch_of(one_column(its), other), other))
    true, area = stats.ks_2samp(now, its, method="asymp").statistic, stats.wasserstein_distance(now, its)
    assert found.ks is not None
    assert found.ks_error is not None
    assert abs(found.ks - true) <= found.ks_error + LEAST
    assert found.wasserstein is not None
    assert found.wasserstein_error is not None
    scale = max(np.abs(now).max(), np.abs(its).max())
    assert abs(found.wasserstein - area) <= found.wasserstein_error * (1 + LEAST) + LEAST * scale


def test_outputs_are_compared_where_asked() -> None:
    bins = bins_for([1.0, 2.0])
    now = sketch_of(pa.record_batch({"feature.x": [1.0] * 200, "output.p": np.linspace(0, 0.5, 200)}), bins)
    its = sketch_of(pa.record_batch({"feature.x": [1.0] * 200, "output.p": np.linspace(0.5, 1, 200)}), bins)
    assert [one.feature for one in drift(now, bins, Base(its, bins), outputs=True)] == ["output.p", "x"]
    assert [one.feature for one in drift(now, bins, Base(its, bins))] == ["x"]


def sampled(rng: np.random.Generator, rows: int, correlation: float = 0.0, shift: float = 0.0) -> Rows:
    values = rng.normal(size=(rows, 6))
    values[:, 1] = correlation * values[:, 0] + np.sqrt(1 - correlation**2) * values[:, 1]
    values[:, 2] += shift
    columns = {f"feature.f{place}": values[:, place] for place in range(6)}
    return sketch_of(pa.record_batch(columns | {"feature.c": rng.choice(["a", "b"], rows)}), {}).rows


def test_rows_alike_are_not_told_apart_and_the_test_holds_its_level() -> None:
    rng = np.random.default_rng(15)
    found = [domain_classifier(sampled(rng, 1_000), sampled(rng, 1_000)) for _ in range(30)]
    p_values = np.array([one.p_value for one in found if one is not None])
    assert len(p_values) == 30
    assert (p_values <= 0.1).mean() <= 0.27
    assert np.mean([one.auc for one in found if one is not None]) == pytest.approx(0.5, abs=0.04)


def test_a_correlation_that_goes_away_is_seen_where_no_feature_drifts() -> None:
    rng = np.random.default_rng(16)
    found = domain_classifier(sampled(rng, 3_000, correlation=0.95), sampled(rng, 3_000))
    assert found is not None
    assert found.p_value < 0.01
    assert found.auc > 0.6
    assert {name for name, _ in found.told_by[:2]} == {"f0", "f1"}


def test_a_moved_feature_is_named_and_few_rows_say_nothing() -> None:
    rng = np.random.default_rng(17)
    found = domain_classifier(sampled(rng, 3_000, shift=2.0), sampled(rng, 3_000))
    assert found is not None
    assert found.told_by[0][0] == "f2"
    assert domain_classifier(sampled(rng, 50), sampled(rng, 3_000)) is None


def test_a_weighted_area_is_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(18)
    scores, positive, weights = rng.integers(0, 5, 60) / 4, rng.random(60) < 0.4, rng.integers(1, 4, 60)
    from sklearn.metrics import roc_auc_score

    expected = roc_auc_score(positive, scores, sample_weight=weights)
    assert auc(scores, positive, weights.astype(float)) == pytest.approx(expected)


def test_a_signature_of_integers_keeps_its_types() -> None:
    bins = bins_of(Signature(inputs=(Field(name="x", type="long"),), outputs=()), {"x": [1, 2, 3]})
    assert bins["x"].kind == "numeric"
