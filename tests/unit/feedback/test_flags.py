"""Given what was said about a flag, when somebody says more, then this follows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.feedback.domain import flags, thresholds
from services.feedback.domain.flags import Comment, Locate, Place, Raise, Resolve, Triage
from services.feedback.projection import project
from shared.events.envelope import Event, Payload
from shared.events.feedback import (
    FeedbackFlagged,
    FlagCommented,
    FlagLocated,
    FlagResolved,
    FlagThresholdBreached,
    FlagTriaged,
)
from shared.events.refusal import Refused
from shared.log.tables import Put

AT = datetime(2013, 7, 3, tzinfo=UTC)
PLACE = Place("late-flights", "late-flights", 1, "b", 3)
WHERE = {"deployment": "late-flights", "model": "late-flights", "version": 1, "batch": "b", "row": 3}
RAISE = Raise("f", "b-3", PLACE, "missed", "high", 1.0, "landed late")
RAISED = FeedbackFlagged(
    flag="f", prediction_id="b-3", category="missed", severity="high", expected=1.0, comment="landed late", **WHERE
)
PENDING = RAISED.model_copy(update=dict.fromkeys(WHERE))
TRIAGED = FlagTriaged(flag="f", assignee="dan", severity="high")
RESOLVED = FlagResolved(flag="f", resolution="model_defect", comment="known")


def event(payload: Payload, sequence: int = 1, cause: str | None = None) -> Event:
    return Event(f"e{sequence}", "/muniment/feedback", "flag/f", AT, sequence, "ana", payload, causationid=cause)


def state_after(*given: Payload) -> flags.Flag:
    state = flags.initial
    for sequence, payload in enumerate(given, 1):
        state = flags.evolve(state, event(payload, sequence))
    return state


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        ((), RAISE, [RAISED]),
        ((), replace(RAISE, place=None), [PENDING]),
        ((PENDING,), Locate(PLACE), [FlagLocated(flag="f", prediction_id="b-3", **WHERE)]),
        ((RAISED,), Locate(PLACE), []),
        ((RAISED,), Triage("dan", None, ""), [TRIAGED]),
        ((RAISED,), Triage("dan", "low", "hm"), [FlagTriaged(flag="f", assignee="dan", severity="low", comment="hm")]),
        ((RAISED, TRIAGED), Resolve("model_defect", "known"), [RESOLVED]),
        ((RAISED,), Resolve("model_defect", "known"), [RESOLVED]),
        ((RAISED, RESOLVED), Comment("thanks"), [FlagCommented(flag="f", comment="thanks")]),
    ],
)
def test_what_follows(given, when, then) -> None:
    assert flags.decide(state_after(*given), when) == then


@pytest.mark.parametrize(
    ("given", "when", "code", "status"),
    [
        ((), Triage("dan", None, ""), "unknown-flag", 404),
        ((), Comment("?"), "unknown-flag", 404),
        ((RAISED,), RAISE, "already-flagged", 409),
        ((), replace(RAISE, expected={"delay": [2**64]}), "not-plain", 422),
        ((RAISED, RESOLVED), Resolve("model_defect", "again"), "already-resolved", 409),
        ((RAISED, RESOLVED), Triage("dan", None, ""), "already-resolved", 409),
    ],
)
def test_what_is_refused(given, when, code, status) -> None:
    with pytest.raises(Refused) as refused:
        flags.decide(state_after(*given), when)
    assert (refused.value.code, refused.value.status) == (code, status)


def test_a_breach_is_stated_once_per_cause() -> None:
    command = thresholds.Breach("d", "m", 1, 10, 10, "e10")
    [stated] = thresholds.decide(thresholds.initial, command)
    assert stated == FlagThresholdBreached(deployment="d", model="m", version=1, open_flags=10, threshold=10)
    state = thresholds.evolve(thresholds.initial, event(stated, 1, cause="e10"))
    assert thresholds.decide(state, command) == []
    assert len(thresholds.decide(state, replace(command, cause="e30"))) == 1


def test_the_view_of_a_flag_follows_its_events() -> None:
    row: dict = {}
    for sequence, payload in enumerate(
        (PENDING, FlagLocated(flag="f", prediction_id="b-3", **WHERE), TRIAGED, RESOLVED), 1
    ):
        [change, entry] = project(event(payload, sequence))
        assert isinstance(change, Put)
        assert isinstance(entry, Put)
        assert entry.row["sequence"] == sequence
        row |= change.row
    assert row["located"] is True
    assert (row["deployment"], row["version"], row["batch"], row["row"]) == ("late-flights", 1, "b", 3)
    assert (row["state"], row["assignee"], row["resolution"]) == ("resolved", "dan", "model_defect")
    assert (row["raised_by"], row["raised_at"]) == ("ana", AT)
