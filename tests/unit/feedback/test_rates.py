"""What share is flagged: over flags on one and on many, by version, segment and category."""

import pytest
from scipy.stats import binomtest

from services.feedback.domain.rates import rates, wilson

VOLUMES = [
    {"version": 1, "segment": "AA", "predictions": 60},
    {"version": 1, "segment": "AA", "predictions": 40},
    {"version": 1, "segment": "", "predictions": 100},
    {"version": 2, "segment": "AA", "predictions": 50},
]


def flag(**more: object) -> dict:
    row = {"version": 1, "state": "open", "category": "missed", "predictions": 1, "segment": "AA", "segments": None}
    row |= {"fallback": ""}
    return row | more


def test_rates_by_version_segment_and_category() -> None:
    told = rates(
        [
            flag(),
            flag(state="resolved", category="odd"),
            flag(predictions=10, segments={"AA": 7}, segment=None),
            flag(state="merged"),
            flag(state="lapsed", version=None),
            flag(predictions=0),
            flag(fallback="constant"),
        ],
        VOLUMES,
    )
    assert (told["predictions"], told["flagged"], told["open"]) == (250, 12, 11)
    first, second = told["versions"]
    assert (first["version"], first["flagged"], first["rate"]) == (1, 12, 0.06)
    assert first["by_category"] == {"missed": {"flagged": 11, "rate": 0.055}, "odd": {"flagged": 1, "rate": 0.005}}
    assert (second["flagged"], second["rate"]) == (0, 0.0)
    by = {(one["version"], one["segment"]): one["flagged"] for one in told["segments"]}
    assert by == {(1, "AA"): 9, (1, None): 3, (2, "AA"): 0}


def test_without_predictions_there_is_no_rate() -> None:
    told = rates([flag()], [])
    assert (told["rate"], told["interval"], told["flagged"]) == (None, None, 1)


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (17, 4_000)])
def test_the_interval_is_scipys(hits: int, trials: int) -> None:
    theirs = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    assert wilson(hits, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
