"""The stream of issued reports, and the periods of the schedule."""

from datetime import UTC, datetime

import pytest

from services.audit.domain import report as issued
from services.audit.worker.reports import period_end
from shared.events.audit import IssuedFile, ReportIssued
from shared.events.envelope import Event
from tests.unit.audit.facts import day

FILES = (IssuedFile(format="pdf", sha256="ab" * 32, length=3),)


def issue(period: str = "") -> issued.Issue:
    return issued.Issue("r", "m", day(1), day(2), 3, FILES, period)


def after(*periods: str) -> issued.State:
    state = issued.initial
    for place, period in enumerate(periods, 1):
        (payload,) = issued.decide(state, issue(period))
        assert isinstance(payload, ReportIssued)
        assert payload.number == place
        state = issued.evolve(state, Event("i", "s", "report/m", day(3), place, "a", payload))
    return state


def test_reports_are_numbered():
    assert after("", "", "2013-02-01").number == 3


def test_a_period_is_reported_on_once_and_others_still_are():
    state = after("2013-02-01")
    assert issued.decide(state, issue("2013-02-01")) == []
    assert len(issued.decide(state, issue("2013-03-01"))) == 1
    assert len(issued.decide(state, issue())) == 1


def test_no_model_shares_the_stream_of_the_inventory():
    assert issued.subject(None) not in {issued.subject("inventory"), issued.subject("m")}


@pytest.mark.parametrize(
    ("schedule", "end"),
    [("daily", "2024-02-29"), ("weekly", "2024-02-26"), ("monthly", "2024-02-01"), ("quarterly", "2024-01-01")],
)
def test_periods_end_at_midnight_utc(schedule: str, end: str):
    found = period_end(schedule, datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC))
    assert found == datetime.fromisoformat(f"{end}T00:00:00+00:00")
