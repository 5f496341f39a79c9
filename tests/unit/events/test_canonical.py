"""Canonical JSON is that of RFC 8785 wherever RFC 8785 has a form."""

import math
from datetime import UTC, datetime

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.events.canonical import canonical
from shared.events.codec import MAX_JSON_BYTES, payload_json, rfc3339
from shared.events.refusal import Refused
from shared.events.registry import EvidenceRecorded, PipelineRunRecorded

AT = datetime(510, 9, 22, 6, 23, 37, tzinfo=UTC)

EXACT = 2**53 - 1
NUMBERS = st.integers(-EXACT, EXACT) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_bytes_are_those_of_rfc_8785(value):
    assert canonical(value) == rfc8785.dumps(value)


def test_whole_numbers_that_no_double_holds_keep_their_digits():
    assert canonical({"b": 1e-7, "a": 2**60 + 1}) == b'{"a":1152921504606846977,"b":1e-7}'


@pytest.mark.parametrize(
    ("value", "code", "status"),
    [
        (2**64, "not-plain", 422),
        ([2**63], "not-plain", 422),
        (-(2**63) - 1, "not-plain", 422),
        ("\ud800", "not-plain", 422),
        ("x" * MAX_JSON_BYTES, "event-too-large", 413),
    ],
    ids=["beyond 64 bits", "beyond 63 bits", "below", "half a pair", "too large"],
)
def test_what_no_event_can_hold_is_refused(value: object, code: str, status: int):
    with pytest.raises(Refused) as refused:
        payload_json(PipelineRunRecorded(pipeline="p", run="r", state="failed", started_at=AT, parameters={"n": value}))
    assert (refused.value.code, refused.value.status) == (code, status)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), "99999999999999999999999"])
def test_the_largest_that_it_can_hold_passes(value: object):
    run = PipelineRunRecorded(pipeline="p", run="r", state="failed", started_at=AT, parameters={"n": value})
    assert PipelineRunRecorded.model_validate_json(payload_json(run)) == run


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_no_fact_holds_a_number_that_is_not_finite(value: float):
    with pytest.raises(ValidationError):
        EvidenceRecorded(
            model="m", version=1, evidence="e", kind="quality", name="auc", passed=True, metrics={"auc": value}
        )


def test_text_order_is_time_order():
    assert rfc3339(AT) == "0510-09-22T06:23:37.000000Z"
    assert rfc3339(AT) < rfc3339(AT.replace(year=2013))


def test_names_are_ordered_by_their_utf_16_form():
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()
