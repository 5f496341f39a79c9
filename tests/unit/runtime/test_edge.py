"""What some JSON parsers let pass and JSON does not."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.answers import invalid, pointer
from shared.runtime.edge import check_json
from shared.runtime.problems import Problem

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(VALUES, st.booleans())
def test_all_json_passes(value: object, ascii_only: bool):
    check_json(json.dumps(value, ensure_ascii=ascii_only).encode())


@given(st.lists(VALUES, max_size=3), st.sampled_from([float("nan"), float("inf"), float("-inf"), "\x00", "\ud800"]))
def test_anything_with_such_a_value_is_refused(others: list[object], odd: object):
    with pytest.raises(Problem) as raised:
        check_json(json.dumps([*others, {"x": odd}]).encode())
    assert (raised.value.status, raised.value.code) == (400, "malformed-json")


def test_pointers_escape_what_rfc_6901_says():
    assert pointer(("a/b", "m~n", 0, "")) == "/a~1b/m~0n/0/"
    assert pointer(()) == ""


def test_a_hundred_errors_are_enough():
    errors = [{"loc": ("body", number), "msg": "no", "type": "x"} for number in range(1_000)]
    problem = invalid(RequestValidationError(errors))
    assert problem.detail.startswith("1000 part(s)")
    assert len(problem.extra["errors"]) == 100
