"""Whether data are as they should be: given a reference and a window's rows, then what the checks find."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from services.monitor.comparing import same_hours
from services.monitor.domain import coding, silence
from services.monitor.domain.bins import as_json, bins_of, from_json
from services.monitor.domain.categories import Categories
from services.monitor.domain.drift import Base, Rule, drift
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.integrity import Check, Limits, checks, new_values, traffic
from services.monitor.domain.reference import reference_of
from services.monitor.domain.silence import Listen
from shared.events.envelope import Event
from shared.events.monitor import DeploymentHeard, DeploymentSilent
from shared.events.registry import Field, Signature

SIGNATURE = Signature(
    inputs=(
        Field(name="hour", type="long"),
        Field(name="wind", type="double", required=False),
        Field(name="carrier", type="string"),
        Field(name="night", type="boolean", required=False),
    ),
    outputs=(Field(name="p", type="double"),),
)
ROWS = 400
RNG = np.random.default_rng(0)
REFERENCE: dict[str, Any] = {
    "hour": list(range(24)) * 20,
    "wind": [*RNG.uniform(0, 20, 470).tolist(), *[None] * 10],
    "carrier": ["AA", "UA", "B6"] * 160,
}
BINS = bins_of(SIGNATURE, REFERENCE)
BASE = reference_of(REFERENCE, BINS)


def found(**columns: Any) -> dict[tuple[str, str], Check]:
    """What the checks find in a good window with these columns changed; None: left out."""
    rng = np.random.default_rng(1)
    good: dict[str, Any] = {
        "feature.hour": pa.array(np.arange(ROWS) % 24),
        "feature.wind": pa.array(rng.uniform(0.5, 19, ROWS)),
        "feature.carrier": pa.array(rng.choice(["AA", "UA"], ROWS)),
        "output.p": pa.array(rng.uniform(0, 1, ROWS)),
    }
    good |= {name.replace("__", "."): column for name, column in columns.items()}
    batch = pa.record_batch({name: column for name, column in good.items() if column is not None})
    told = checks(sketch_of(batch, BINS, signature=SIGNATURE), BASE, BINS, Limits())
    return {(one.check, one.subject): one for one in told}


def test_a_good_window_has_nothing_to_tell() -> None:
    assert found() == {}


def test_rows_without_a_column_lack_its_values_as_rows_of_nulls_do() -> None:
    """Half of the rows come without the column: they are as missing as if it held nulls."""
    rng = np.random.default_rng(2)
    whole = pa.record_batch(
        {
            "feature.hour": pa.array(np.arange(200) % 24),
            "feature.wind": pa.array(rng.uniform(0.5, 19, 200)),
            "feature.carrier": pa.array(["AA"] * 200),
            "output.p": pa.array([0.5] * 200),
        }
    )
    without = whole.drop_columns(["feature.wind", "feature.carrier"])
    nulls = whole.set_column(1, "feature.wind", pa.nulls(200, pa.float64()))
    nulls = nulls.set_column(2, "feature.carrier", pa.nulls(200, pa.string()))
    found = sketch_of([whole, without], BINS, signature=SIGNATURE)
    same = sketch_of([whole, nulls], BINS, signature=SIGNATURE)
    assert coding.encode(replace(found, faults={})) == coding.encode(replace(same, faults={}))
    assert found.faults == {"absent:feature.carrier": 200}
    told = {(one.check, one.subject): one.value for one in checks(found, BASE, BINS, Limits())}
    assert told["missing", "wind"] == told["missing", "carrier"] == 0.5


def test_what_the_reference_lacks_throughout_and_the_window_has_is_drift() -> None:
    signature = Signature(inputs=(Field(name="x", type="double", required=False),), outputs=())
    bins = from_json(orjson.loads(orjson.dumps(as_json(bins_of(signature, {"x": [None] * 300})))))
    base = reference_of({"x": [None] * 300}, bins)
    for known in (0, 150):
        now = sketch_of(
            pa.record_batch({"feature.x": pa.array([1.5] * known + [None] * (300 - known), pa.float64())}), bins
        )
        (told,) = drift(now, bins, Base(base, bins))
        assert (told.base_missing, told.missing) == (1.0, 1 - known / 300)
        assert (Rule({"psi": 0.2}, 0.01).reached(told) is not None) == (known > 0)
        assert not any(one.breached for one in checks(now, base, bins, Limits()) if one.subject)
    assert bins_of(Signature(inputs=(), outputs=()), {"x": [None]}) == {}


@pytest.mark.parametrize(
    ("columns", "fault", "share"),
    [
        ({"feature__hour": None}, "absent:feature.hour", 1.0),
        ({"feature__hour": pa.array(["5"] * ROWS)}, "type:feature.hour", 1.0),
        ({"feature__hour": pa.array(np.full(ROWS, 5.5))}, "type:feature.hour", 1.0),
        ({"feature__gust": pa.array(np.ones(ROWS))}, "unknown:feature.gust", 1.0),
        ({"feature__carrier": pa.array([None, "AA"] * (ROWS // 2))}, "null:feature.carrier", 0.5),
        ({"output__p": None}, "absent:output.p", 1.0),
    ],
)
def test_what_goes_against_the_signature_is_told_with_its_share(columns: Any, fault: str, share: float) -> None:
    one = found(**columns)["schema", fault]
    assert (one.value, one.breached) == (share, True)


def test_missing_values_count_beyond_those_of_the_reference() -> None:
    values = np.random.default_rng(2).uniform(1, 19, ROWS)
    few = found(feature__wind=pa.array([None] * 20 + values[20:].tolist()))["missing", "wind"]
    many = found(feature__wind=pa.array([None] * 30 + values[30:].tolist()))["missing", "wind"]
    assert (few.value, few.breached, many.value, many.breached) == (0.05, False, 0.075, True)
    assert few.threshold == pytest.approx(10 / 480 + 0.05)


def test_values_out_of_the_references_range_are_counted() -> None:
    values = np.random.default_rng(3).uniform(1, 19, ROWS)
    values[:30] = 55.0
    assert found(feature__wind=pa.array(values))["range", "wind"].value == 0.075
    assert found(feature__hour=pa.array([24] + [3, 4] * 199 + [5]))["range", "hour"].value == 1 / ROWS
    assert not found(feature__hour=pa.array([24] + [3, 4] * 199 + [5]))["range", "hour"].breached


def test_new_categories_are_counted_and_the_most_frequent_named() -> None:
    names = ["AA"] * 300 + ["ZZ"] * 80 + ["YY"] * 20
    one = found(feature__carrier=pa.array(names))["new_categories", "carrier"]
    assert (one.value, one.breached) == (0.25, True)
    sketch = sketch_of(pa.record_batch({"feature.carrier": names}), BINS)
    assert new_values(sketch, "carrier", Categories({"AA": 9})) == [("ZZ", 80), ("YY", 20)]


def test_frequent_new_values_are_named_even_among_too_many() -> None:
    rng = np.random.default_rng(4)
    names = [f"u{place}" if place >= 0.3 else "often" for place in rng.random(20_000)]
    sketch = sketch_of(pa.record_batch({"feature.carrier": names, "feature.x": rng.random(20_000)}), BINS, 10)
    (name, rows), *_ = new_values(sketch, "carrier", Categories())
    assert name == "often"
    assert names.count("often") <= rows <= names.count("often") + 20_000 * np.e / 256


def test_a_constant_input_is_told_unless_it_always_was() -> None:
    assert found(feature__wind=pa.array(np.full(ROWS, 3.0)))["constant", "wind"].breached
    assert found(feature__carrier=pa.array(["AA"] * ROWS))["constant", "carrier"].breached
    reference = {"wind": [3.0] * 500}
    bins = bins_of(SIGNATURE, reference)
    sketch = sketch_of(pa.record_batch({"feature.wind": np.full(ROWS, 3.0)}), bins)
    assert "constant" not in {one.check for one in checks(sketch, reference_of(reference, bins), bins, Limits())}


def test_repeated_rows_are_told_beyond_those_of_the_reference() -> None:
    same = {"feature__hour": pa.array([3, 4] * (ROWS // 2)), "feature__wind": pa.array([1.5, 2.5] * (ROWS // 2))}
    one = found(**same, feature__carrier=pa.array(["AA", "UA"] * (ROWS // 2)))["duplicates", ""]
    assert (one.value, one.breached) == (1 - 2 / ROWS, True)


def test_few_rows_say_nothing_but_faults() -> None:
    batch = pa.record_batch({"feature.wind": [99.0] * 50})
    told = checks(sketch_of(batch, BINS, signature=SIGNATURE), BASE, BINS, Limits())
    assert {one.check for one in told} == {"schema"}


@pytest.mark.parametrize(
    ("rows", "before", "ratio", "breached"),
    [
        (1_000, [1_000, 1_100, 900], 1.0, False),
        (3_000, [1_000, 1_100, 900], 3.0, True),
        (2_900, [1_000, 1_100, 900], 2.9, False),
        (300, [1_000, 1_100, 900], 0.3, True),
        (12, [4, 4, 4], 3.0, False),
        (3_000, [1_000, 4_000, 10], 3.0, False),
        (3_000, [1_000, 1_000], None, False),
        (3_000, [], None, False),
    ],
)
def test_traffic_is_that_of_the_same_hours_before(
    rows: int, before: list[int], ratio: float | None, breached: bool
) -> None:
    told = traffic(rows, before, 3.0)
    assert [one.value for one in told] == ([] if ratio is None else [ratio])
    assert any(one.breached for one in told) == breached


def test_the_same_hours_before_are_those_of_days_and_weeks() -> None:
    start = datetime(2013, 5, 1, 7, tzinfo=UTC)
    hours = same_hours(start, timedelta(hours=1))
    assert {one.hour for one in hours} == {7}
    assert (len(hours), min(hours)) == (10, start - timedelta(days=28))
    assert same_hours(start, timedelta(days=1)) == [start - timedelta(days=7 * week) for week in (4, 3, 2, 1)]


HEARD = datetime(2026, 1, 1, tzinfo=UTC)


def listened(*at: tuple[float, float]) -> list[list[str]]:
    """What is stated at each (last heard, now), in seconds, where 60 seconds are silence."""
    state: silence.State = silence.initial
    told: list[list[str]] = []
    for heard, now in at:
        moments = (HEARD + timedelta(seconds=heard), HEARD + timedelta(seconds=now))
        payloads = silence.decide(state, Listen("late", "late", 1, *moments, 60.0))
        told.append([type(one).__name__ for one in payloads])
        for payload in payloads:
            state = silence.evolve(state, Event("e", "s", "x", HEARD, 1, "monitor", payload))
    return told


def test_silence_is_stated_once_and_ends_with_the_next_prediction() -> None:
    assert listened((0, 59), (0, 60), (0, 500), (490, 500), (490, 549), (490, 551)) == [
        [],
        ["DeploymentSilent"],
        [],
        ["DeploymentHeard"],
        [],
        ["DeploymentSilent"],
    ]


def test_what_is_stated_of_a_silence_tells_since_when() -> None:
    (silent,) = silence.decide(silence.initial, Listen("late", "m", 2, HEARD, HEARD + timedelta(hours=1), 60.0))
    assert isinstance(silent, DeploymentSilent)
    assert (silent.deployment, silent.model, silent.version, silent.last_heard) == ("late", "m", 2, HEARD)
    (heard,) = silence.decide(silence.State(HEARD), Listen("late", "m", 2, HEARD + timedelta(1), HEARD, 60.0))
    assert isinstance(heard, DeploymentHeard)
    assert (heard.silent_since, heard.heard) == (HEARD, HEARD + timedelta(1))
