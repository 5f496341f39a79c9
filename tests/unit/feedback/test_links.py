"""Signed links say what was signed, for as long as was said, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feedback.domain.links import Expired, Link, NotGenuine, opened, token

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = b"k" * 32
LINK = Link("f", "ana", "crew", NOW + timedelta(hours=1), {"prediction_id": "b-3", "category": "missed", "expected": 1})


def test_a_link_says_what_was_signed() -> None:
    assert opened(KEY, token(KEY, LINK), NOW) == LINK


def test_its_time_ends() -> None:
    with pytest.raises(Expired):
        opened(KEY, token(KEY, LINK), LINK.expires)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(NotGenuine):
        opened(b"x" * 32, token(KEY, LINK), NOW)


@given(st.data())
def test_whatever_is_changed_it_is_not_genuine(data: st.DataObject) -> None:
    whole = token(KEY, LINK)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != whole[place]))
    with pytest.raises(NotGenuine):
        opened(KEY, whole[:place] + other + whole[place + 1 :], NOW)


@given(st.text(max_size=300))
def test_no_text_opens(text: str) -> None:
    with pytest.raises(NotGenuine):
        opened(KEY, text, NOW)
