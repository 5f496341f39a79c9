"""What some JSON parsers let pass and JSON does not."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.answers import invalid, pointer
from shared.runtime.edge import check_json, inflated
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


@pytest.mark.parametrize(
    ("encoding", "packed"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"identity", bytes)]
)
def test_a_compressed_body_is_unpacked_as_far_as_the_limit(encoding: bytes, packed: Callable[[bytes], bytes]):
    assert inflated(packed(b"x" * 1_000), encoding, 1_000) == b"x" * 1_000
    if encoding != b"identity":
        assert inflated(packed(b"x" * 1_001), encoding, 1_000) is None


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        (b"gzip", b"plain", 400),
        (b"gzip", b"", 400),
        (b"gzip", gzip.compress(b"torn", mtime=0)[:-1], 400),
        (b"deflate", zlib.compress(b"more") + b"behind", 400),
        (b"br", b"x", 415),
        (b"gzip, gzip", gzip.compress(gzip.compress(b"twice", mtime=0), mtime=0), 415),
    ],
)
def test_a_body_that_is_not_as_it_says_is_refused(encoding: bytes, body: bytes, status: int):
    with pytest.raises(Problem) as raised:
        inflated(body, encoding, 1_000)
    assert raised.value.status == status
