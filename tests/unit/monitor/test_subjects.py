"""Forgetting, decided: said once, by the token alone."""

from datetime import UTC, datetime

from services.monitor.domain.subjects import Forget, State, decide, evolve, initial, subject_of
from shared.events.envelope import Event
from shared.events.monitor import SubjectForgotten

TOKEN = "subject:" + "5a" * 16
FORGOTTEN = SubjectForgotten(subject=TOKEN, reason="withdrew consent")


def test_a_token_is_forgotten_once() -> None:
    assert decide(initial, Forget(TOKEN, "withdrew consent")) == [FORGOTTEN]
    event = Event("1", "/muniment/monitor", subject_of(TOKEN), datetime(2026, 1, 1, tzinfo=UTC), 1, "ann", FORGOTTEN)
    state = evolve(initial, event)
    assert state == State(forgotten=True)
    assert decide(state, Forget(TOKEN, "again")) == []


def test_the_stream_bears_the_token() -> None:
    assert subject_of(TOKEN) == "subject/" + "5a" * 16
