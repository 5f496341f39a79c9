"""The id of a flag follows from who says what: from the API and from a list alike."""

from uuid import UUID

import pytest

from services.feedback.api.bodies import FlagBody
from services.feedback.domain.naming import SAID, flag_id, words_of


@pytest.mark.parametrize("again", [0, 1, 2**32 - 1])
def test_the_id_is_a_uuid_of_our_own_making(again: int) -> None:
    found = UUID(flag_id(b"words", again))
    assert (found.version, found.variant) == (8, "specified in RFC 4122")
    assert str(found) == flag_id(b"words", again) != flag_id(b"words", again - 1 if again else 1)


def test_a_list_says_it_in_the_words_of_the_api() -> None:
    said = {"prediction_id": "flight-7", "category": "missed", "severity": "high", "expected": 1, "comment": "late"}
    body = FlagBody.model_validate(said).model_dump(mode="json", exclude={"at"}, by_alias=True)
    assert set(body) == set(SAID)
    assert words_of("ana", body) == words_of("ana", said)
    assert len({words_of("ana", said), words_of("eva", said), words_of("ana", said | {"severity": "low"})}) == 3
