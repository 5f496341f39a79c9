"""Given a verification, when its comparison ends, then its result is stated once."""

import pytest

from services.audit.domain import verification as domain
from tests.unit.audit.facts import event


def command(**changed):
    given = {"digest_live": "a", "digest_replayed": "a", "first_difference": None} | changed
    return domain.Complete(verification="v", events=2, rows=5, **given)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "equal"),
        ({"first_difference": "ledger event_id=x: …"}, "different"),
        ({"digest_live": "b"}, "different"),
    ],
)
def test_the_outcome(changed, outcome):
    (stated,) = domain.decide(domain.initial, command(**changed))
    assert (stated.outcome, stated.events, stated.rows) == (outcome, 2, 5)


def test_a_run_made_again_after_a_crash_states_nothing_new():
    (stated,) = domain.decide(domain.initial, command())
    state = domain.evolve(domain.initial, event(1, stated, "verification/v", 1, happened=1))
    assert domain.decide(state, command()) == []
