"""Policies of retention, given, when, then."""

from datetime import UTC, datetime

import pytest

from services.monitor.domain.retention import Expire, Keep, decide, evolve, initial
from shared.events.monitor import PredictionsExpired, RetentionSet
from shared.events.refusal import Refused
from tests.replay.samples import sample

AT = datetime(2026, 1, 1, tzinfo=UTC)
SET = RetentionSet(deployment="late", days=30, reason="policy 7")


def test_a_policy_is_stated_once() -> None:
    assert decide(initial, Keep("late", 30, "policy 7")) == [SET]
    state = evolve(initial, sample(SET))
    assert decide(state, Keep("late", 30, "again")) == []
    assert decide(state, Keep("late", 0, "")) == [RetentionSet(deployment="late", days=0)]


def test_what_expires_is_stated() -> None:
    expired = PredictionsExpired(deployment="late", before=AT, days=30, rows=40, batches=2)
    assert decide(evolve(initial, sample(SET)), Expire("late", AT, 30, 40, 2)) == [expired]
    assert evolve(initial, sample(expired)).before == AT


@pytest.mark.parametrize("days", [-1, 36_526])
def test_a_number_of_days_that_is_none_is_refused(days: int) -> None:
    with pytest.raises(Refused, match="36525"):
        decide(initial, Keep("late", days, ""))
