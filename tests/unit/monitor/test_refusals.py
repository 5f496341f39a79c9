"""Refused predictions: given what was on record of a window, when more is refused, then the total is stated."""

from datetime import UTC, datetime, timedelta

from services.monitor.domain import refusals
from services.monitor.domain.integrity import Check
from services.monitor.domain.integrity import refusals as checks_of
from services.monitor.domain.refusals import MAX_REASONS, OTHER, Refuse, Refused
from services.monitor.projection import project
from shared.events.envelope import Event, Payload
from shared.events.monitor import PredictionsRefused
from shared.log.tables import Put

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def command(refused: Refused) -> Refuse:
    return Refuse("late", "m", 1, AT, AT + timedelta(hours=1), refused)


def stated(bodies: int, rows: int, reasons: dict[str, int]) -> PredictionsRefused:
    end = AT + timedelta(hours=1)
    return PredictionsRefused(
        deployment="late",
        model="m",
        version=1,
        window_start=AT,
        window_end=end,
        bodies=bodies,
        rows=rows,
        reasons=reasons,
    )


def event(payload: Payload) -> Event:
    return Event("id", "/muniment/monitor", command(Refused()).subject, AT, 1, "monitor", payload)


def test_the_first_refusals_are_stated() -> None:
    assert refusals.decide(refusals.initial, command(Refused(1, 10, {"null:feature.hour": 10}))) == [
        stated(1, 10, {"null:feature.hour": 10})
    ]


def test_later_ones_are_added_to_what_is_on_record() -> None:
    state = refusals.evolve(refusals.initial, event(stated(1, 10, {"null:feature.hour": 10})))
    more = Refused(2, 5, {"null:feature.hour": 3, "unknown:feature.x": 5})
    assert refusals.decide(state, command(more)) == [stated(3, 15, {"null:feature.hour": 13, "unknown:feature.x": 5})]


def test_nothing_is_stated_of_nothing() -> None:
    assert refusals.decide(refusals.initial, command(Refused())) == []


def test_names_beyond_the_limit_are_counted_together() -> None:
    many = Refused(1, 1, {f"unknown:feature.{place:03}": 1 for place in range(MAX_REASONS + 7)})
    total = Refused().plus(many).plus(many)
    assert len(total.reasons) == MAX_REASONS + 1
    assert total.reasons[OTHER] == 14


def test_a_refusal_sets_its_windows_row() -> None:
    assert project(event(stated(3, 15, {"a": 1}))) == [
        Put(
            "refusals",
            {"deployment": "late", "version": 1, "window_start": AT, "bodies": 3, "rows": 15, "reasons": {"a": 1}},
        )
    ]


def test_each_reason_is_a_check_of_its_share_of_all_that_came() -> None:
    found = checks_of(Refused(1, 25, {"type:feature.wind": 25}), 75)
    assert found == [Check("refused", "type:feature.wind", 0.25, 0.0, True)]
