"""Given what was said about a flag, when somebody says more, then this follows."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import RFC_4122, UUID

import pytest

from services.feedback.api.raising import flag_id
from services.feedback.domain import flags, thresholds
from services.feedback.domain.flags import Comment, Lapse, Locate, Merge, Place, Raise, Resolve, Subject, Triage
from services.feedback.domain.limits import Level, Over, over
from services.feedback.projection import project
from shared.events.envelope import Event, Payload
from shared.events.feedback import (
    FeedbackFlagged,
    FlagCommented,
    FlagLapsed,
    FlagLimitsSet,
    FlagLocated,
    FlagMerged,
    FlagResolved,
    FlagThresholdBreached,
    FlagThresholdCleared,
    FlagTriaged,
)
from shared.events.refusal import Refused
from shared.log.tables import Put

AT = datetime(2013, 7, 3, tzinfo=UTC)
PLACE = Place("late-flights", "late-flights", 1, "b", 3)
WHERE = {"deployment": "late-flights", "model": "late-flights", "version": 1, "batch": "b", "row": 3}
RAISE = Raise("f", "b-3", PLACE, "missed", "high", 1.0, "landed late")
ON_VERSION = Subject("model", model="late-flights", version=2)
RAISED = FeedbackFlagged(
    flag="f", prediction_id="b-3", category="missed", severity="high", expected=1.0, comment="landed late", **WHERE
)
PENDING = RAISED.model_copy(update=dict.fromkeys(WHERE))
TRIAGED = FlagTriaged(flag="f", assignee="dan", severity="high")
MERGED = FlagMerged(flag="f", into="g", comment="same")
LAPSED = FlagLapsed(flag="f", prediction_id="b-3", waited_seconds=60.0)
CORRECTED = FlagResolved(flag="f", resolution="label_corrected", comment="so", label=1.0)
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
        ((RAISED,), Merge("g", "open", "same"), [MERGED]),
        ((RAISED,), Merge("g", "resolved", "same"), [MERGED]),
        ((PENDING,), Lapse(60.0), [LAPSED]),
        ((RAISED,), Lapse(60.0), []),
        ((PENDING, LAPSED), Lapse(70.0), []),
        ((PENDING, LAPSED), Locate(PLACE), [FlagLocated(flag="f", prediction_id="b-3", reopened=True, **WHERE)]),
        ((PENDING, RESOLVED), Locate(PLACE), [FlagLocated(flag="f", prediction_id="b-3", **WHERE)]),
        ((RAISED,), Resolve("label_corrected", "so"), [CORRECTED]),
        ((RAISED,), Resolve("label_corrected", "so", 0.0), [CORRECTED.model_copy(update={"label": 0.0})]),
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
        ((RAISED, MERGED), Resolve("model_defect", "again"), "already-merged", 409),
        ((RAISED,), Merge("f", "open", ""), "bad-merge", 422),
        ((RAISED,), Merge("g", "none", ""), "bad-merge", 422),
        ((RAISED,), Merge("g", "merged", ""), "bad-merge", 422),
        ((RAISED,), Resolve("model_defect", "so", 1.0), "bad-label", 422),
    ],
)
def test_what_is_refused(given, when, code, status) -> None:
    with pytest.raises(Refused) as refused:
        flags.decide(state_after(*given), when)
    assert (refused.value.code, refused.value.status) == (code, status)


def test_limits_are_said_to_be_reached_and_left_once_each() -> None:
    of = {"deployment": "d", "model": "m", "version": 1}
    command = thresholds.Compare(**of, open_flags=10, reached={"open": Over(10, 10)})
    [stated] = thresholds.decide(thresholds.initial, command)
    assert stated == FlagThresholdBreached(**of, open_flags=10, threshold=10, kind="open", value=10, limit=10)
    state = thresholds.evolve(thresholds.initial, event(stated))
    assert thresholds.decide(state, command) == []
    harm = replace(command, reached={"harm": Over(600.0, 500.0, "USD")})
    breach, cleared = thresholds.decide(state, harm)
    assert isinstance(breach, FlagThresholdBreached)
    assert (breach.kind, breach.unit) == ("harm", "USD")
    assert cleared == FlagThresholdCleared(**of, open_flags=10, kind="open")
    assert thresholds.evolve(thresholds.evolve(state, event(breach)), event(cleared)) == {"harm"}


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


def test_a_flag_may_be_on_a_version_instead_of_a_prediction() -> None:
    [flagged] = flags.decide(flags.initial, replace(RAISE, prediction_id="", place=None, subject=ON_VERSION))
    assert isinstance(flagged, FeedbackFlagged)
    assert (flagged.target, flagged.model, flagged.version, flagged.batch) == ("model", "late-flights", 2, None)
    [change, _] = project(event(flagged))
    assert isinstance(change, Put)
    assert (change.row["located"], change.row["predictions"]) == (True, 0)


MONEY = {"harm": {"high": 50.0}, "harm_limit": 100.0, "unit": "EUR"}
LIMITS = FlagLimitsSet(deployment="d", open_flags=3, rate=0.01, rate_rows=100, critical=1, **MONEY)


@pytest.mark.parametrize(
    ("level", "predictions", "kinds"),
    [
        (Level(), 1_000, {}),
        (Level().moved("low", 3, 1), 1_000, {"open": Over(3, 3)}),
        (Level().moved("critical", 1, 1), 1_000, {"severity": Over(1, 1)}),
        (Level().moved("low", 2, 1), 200, {"rate": Over(0.01, 0.01)}),
        (Level().moved("low", 2, 1), 99, {}),
        (Level().moved("high", 2, 1), 1_000, {"harm": Over(100.0, 100.0, "EUR")}),
        (Level().moved("high", 2, 1).moved("high", 2, -1), 1_000, {}),
    ],
)
def test_which_limits_are_reached(level, predictions, kinds) -> None:
    assert over(LIMITS, level, predictions) == kinds


def test_flags_on_constants_are_no_share_of_the_predictions() -> None:
    level = Level().moved("low", 2, 1)
    assert over(LIMITS, level, 100, of_constants=1) == {"rate": Over(0.01, 0.01)}
    assert over(LIMITS, level, 100, of_constants=2) == {}


def test_the_same_words_name_the_same_flag_and_other_words_another() -> None:
    first = UUID(flag_id(b"ana says late"))
    assert (first.version, first.variant) == (8, RFC_4122)
    names = {flag_id(b"ana says late"), flag_id(b"ana says late", 1), flag_id(b"ben says late")}
    assert (len(names), str(first) in names) == (3, True)
