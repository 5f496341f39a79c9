"""What columns are like, against NumPy on the values; and the groups of drift, from which its figures follow again."""

from collections import Counter
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest

from services.monitor.domain.bins import bins_of
from services.monitor.domain.drift import Base, drift, groups
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.profile import QUANTILES, category_profiles, number_profiles
from services.monitor.domain.reference import reference_of
from services.monitor.domain.sketch import EMPTY, merge
from services.monitor.domain.statistics import EPSILON
from shared.events.registry import Field, Signature
from tests.unit.monitor.drawn import KINDS, bins_for, compared, one_column

NONE = Signature(inputs=(), outputs=())


@pytest.mark.parametrize("kind", KINDS)
def test_a_numbers_profile_is_that_of_its_values_within_the_bounds_told(kind: str) -> None:
    rng = np.random.default_rng(3)
    reference, now = KINDS[kind](rng, 500), KINDS[kind](rng, 700)
    now[::7] = np.nan
    bins = bins_for(reference)
    found = number_profiles(sketch_of(one_column(now), bins), bins)["x"]
    known = now[~np.isnan(now)]
    assert (found.rows, found.missing) == (700, 100)
    assert (found.least, found.most) == (known.min(), known.max())
    spread = float(np.abs(known).max())
    if kind not in ("extremes", "huge"):  # whose squares leave NumPy's doubles
        grid = bins["x"].grid
        assert found.mean == pytest.approx(known.mean(), rel=1e-9, abs=spread * 1e-9 + (grid.high - grid.low) * 2**-38)
    for quantile in found.quantiles:
        true = float(np.quantile(known, quantile.share, method="lower"))
        assert quantile.low <= quantile.value <= quantile.high
        slack = 1e-12 * spread
        assert quantile.low - slack <= true <= quantile.high + slack
    assert [one.share for one in found.quantiles] == list(QUANTILES)


def test_quantiles_of_whole_numbers_with_a_cell_each_are_exact() -> None:
    rng = np.random.default_rng(3)
    now = rng.poisson(4, 999)
    bins = bins_for(rng.poisson(3, 500), "long")
    found = number_profiles(sketch_of(one_column(now), bins), bins)["x"]
    assert [one.value for one in found.quantiles] == np.quantile(now, QUANTILES, method="lower").tolist()
    assert found.deviation == pytest.approx(float(now.std()), rel=1e-9)


def test_a_column_without_values_has_no_figures() -> None:
    found = number_profiles(sketch_of(one_column(np.full(5, np.nan)), bins_for([1.0, 2.0])), bins_for([1.0, 2.0]))["x"]
    assert (found.rows, found.missing, found.mean, found.quantiles) == (5, 5, None, ())


def test_the_most_frequent_of_many_categories_are_named_however_windows_are_split() -> None:
    rng = np.random.default_rng(1)
    values = [f"v{number % 50_000}" for number in rng.zipf(1.3, 20_000)]
    bins = bins_of(NONE, {"x": ["v1", "v2"]})
    table = pa.record_batch({"feature.x": pa.array(values), "feature.y": rng.normal(size=20_000)})
    parts = [sketch_of(table.slice(start, 1_000), bins, 20) for start in range(0, 20_000, 1_000)]
    found = category_profiles(reduce(merge, parts, EMPTY), 1_000)["x"]
    true = Counter(values)
    assert found.rows == 20_000
    assert [one.value for one in found.frequent[:4]] == [value for value, _ in true.most_common(4)]
    exact = [one for one in found.frequent if one.exact]
    assert (len(exact), found.unnamed) == (found.named, 20_000 - sum(one.rows for one in exact))
    assert all(one.rows == true[one.value] for one in exact)
    over = [one.rows - true[one.value] for one in found.frequent if not one.exact]
    assert min(over) >= 0
    assert np.mean(np.array(over) <= found.unnamed * 0.0107) >= 0.98


@pytest.mark.parametrize("kind", ["normal", "constant", "counts", "zero-inflated", "int64 edges"])
def test_psi_follows_from_the_groups_of_a_number(kind: str) -> None:
    rng = np.random.default_rng(5)
    reference, now = KINDS[kind](rng, 900), KINDS[kind](rng, 800) + 0.5
    now[:80] = np.nan
    bins = bins_for(reference)
    sketch, base = sketch_of(one_column(now), bins), reference_of({"x": reference.tolist()}, bins)
    told = groups(sketch, bins, base, bins)["x"]
    assert (sum(one.rows for one in told), sum(one.base_rows for one in told)) == (800, 900)
    assert _psi(told) == pytest.approx(compared(now, reference).psi, rel=1e-9)
    for one in told[:-1]:
        low, high = (-np.inf if one.low is None else one.low), (np.inf if one.high is None else one.high)
        slack = 1e-12 * float(np.nanmax(np.abs(now)))
        surely = int(((now >= low + slack) & (now < high - slack)).sum())
        assert surely <= one.rows <= int(((now >= low - slack) & (now < high + slack)).sum())


def test_psi_follows_from_the_groups_of_a_category() -> None:
    rng = np.random.default_rng(5)
    reference = [f"v{number}" for number in rng.zipf(1.5, 900) % 200]
    now = [None, *(f"v{number}" for number in rng.zipf(1.4, 799) % 300)]
    signature = Signature(inputs=(Field(name="x", type="string", required=False),), outputs=())
    bins = bins_of(signature, {"x": reference})
    sketch, base = sketch_of(one_column(pa.array(now)), bins), reference_of({"x": reference}, bins)
    told = groups(sketch, bins, base, bins)["x"]
    (found,) = drift(sketch, bins, Base(base, bins))
    assert _psi(told) == pytest.approx(found.psi, rel=1e-9)
    assert told[0].rows == now.count(told[0].value)
    assert [one.rest for one in told[-3:]] == ["others", "new", "missing"]


def _psi(told: tuple) -> float:
    filled = [one for one in told if one.rows or one.base_rows]
    mine, its = (np.array([getattr(one, name) for one in filled], float) for name in ("rows", "base_rows"))
    p, q = np.maximum(mine / mine.sum(), EPSILON), np.maximum(its / its.sum(), EPSILON)
    return float(((p - q) * np.log(p / q)).sum())
