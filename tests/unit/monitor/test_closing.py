"""When windows close: by event time, by the clock, by silence; and up to when all input is counted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.domain.closing import By, Closing, Mark, passed, reached
from services.monitor.worker.counted import Counted
from shared.log.records import TopicPartition

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
CLOSING = Closing(lateness=HOUR, grace=MINUTE, idle=5 * MINUTE)
END = datetime(2026, 4, 2, tzinfo=UTC)
DUE = END + HOUR + MINUTE
LATER = END + timedelta(days=400)
OPEN = END - HOUR
"""When the log takes what happens within the window."""

ONE, TWO = TopicPartition("muniment.predictions", 0), TopicPartition("muniment.predictions", 1)


@pytest.mark.parametrize(
    ("reached", "since", "heard", "counted", "by"),
    [
        (END + HOUR, None, None, None, "event time"),
        (END + HOUR - SECOND, None, None, None, None),
        (END, OPEN, OPEN, DUE, "clock"),
        (END, OPEN, OPEN, DUE - SECOND, None),
        (END, OPEN, DUE - SECOND, DUE, "clock"),
        (END, LATER, LATER, LATER, None),
        (END, LATER, LATER, LATER + 5 * MINUTE - SECOND, None),
        (END, LATER, LATER, LATER + 5 * MINUTE, "silence"),
        (END, DUE, DUE, DUE + MINUTE, None),
        (END, None, LATER, LATER + 5 * MINUTE, "silence"),
        (END, None, None, LATER, None),
        (None, OPEN, OPEN, DUE, "clock"),
    ],
)
def test_a_window_closes_by_event_time_by_the_clock_or_by_silence(
    reached: datetime | None, since: datetime | None, heard: datetime | None, counted: datetime | None, by: By | None
) -> None:
    assert CLOSING.by(END, reached, since, heard, counted) == by


def test_a_window_of_the_past_is_open_however_late_it_is_while_its_deployment_is_heard() -> None:
    moments = [LATER + number * 4 * MINUTE for number in range(1_000)]
    assert {CLOSING.by(END, END, LATER, moment, moment + 4 * MINUTE) for moment in moments} == {None}


def test_a_log_that_is_never_read_to_its_end_is_counted_up_to_where_it_ended_before() -> None:
    counted = Counted()
    assert counted.until(END, {ONE: 10, TWO: 4}, {ONE: 8, TWO: 4}) is None
    assert counted.until(END + SECOND, {ONE: 20, TWO: 4}, {ONE: 9, TWO: 4}) is None
    assert counted.until(END + 2 * SECOND, {ONE: 30, TWO: 4}, {ONE: 10, TWO: 4}) == END
    assert counted.until(END + 3 * SECOND, {ONE: 40, TWO: 4}, {ONE: 30, TWO: 4}) == END + 2 * SECOND
    assert counted.until(END + 4 * SECOND, {ONE: 40, TWO: 4}, {ONE: 40, TWO: 4}) == END + 4 * SECOND


def test_nothing_is_counted_once_a_rebuild_has_begun() -> None:
    counted = Counted()
    assert counted.until(END, {ONE: 10}, {ONE: 10}) == END
    assert counted.until(END + SECOND, {ONE: 10}, {}) is None
    assert counted.until(END + 2 * SECOND, {ONE: 11}, {ONE: 9}) is None
    assert counted.until(END + 3 * SECOND, {ONE: 11}, {ONE: 10}) == END + SECOND


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=30))
def test_what_is_said_to_be_counted_was_in_the_log_and_is_in_the_views(steps: list[tuple[int, int, bool]]) -> None:
    """Each step: so many records come, so many are applied at most, and perhaps a rebuild begins."""
    counted, end, kept, ends = Counted(), 0, 0, dict[datetime, int]()
    for number, (come, applied, rebuilt) in enumerate(steps):
        at = END + number * SECOND
        end += come
        kept = 0 if rebuilt else min(end, kept + applied)
        ends[at] = end
        until = counted.until(at, {ONE: end}, {ONE: kept})
        assert until is None or kept >= ends[until]
        assert kept < end or until == at


def test_event_time_is_the_latest_of_partitions_that_are_read_to_their_ends() -> None:
    marks = {ONE: Mark(END, OPEN, OPEN), TWO: Mark(END + HOUR, OPEN + SECOND, OPEN + SECOND)}
    assert reached(marks, set(), None) == END + HOUR
    assert reached({}, set(), LATER) is None


def test_a_partition_that_is_behind_holds_event_time_at_its_own() -> None:
    marks = {ONE: Mark(END, OPEN, OPEN), TWO: Mark(END + HOUR, OPEN + SECOND, OPEN + SECOND)}
    assert reached(marks, {ONE}, None) == END
    assert reached(marks, {ONE, TWO}, None) == END
    assert reached(marks, {TWO}, None) == END + HOUR


def test_a_partition_of_which_nothing_is_read_yet_holds_event_time_back_altogether() -> None:
    assert reached({TWO: Mark(END + HOUR, OPEN, OPEN)}, {ONE}, None) is None


def test_a_partition_that_is_always_behind_holds_nothing_back_that_came_before_what_is_read_of_it() -> None:
    """Other deployments keep the first partition busy, and this one's next prediction comes elsewhere."""
    marks = {ONE: Mark(END, OPEN, OPEN), TWO: Mark(END + HOUR, OPEN + SECOND, OPEN + SECOND)}
    assert reached(marks, {ONE}, OPEN + SECOND) == END
    assert reached(marks, {ONE}, OPEN + 2 * SECOND) == END + HOUR
    assert reached({TWO: Mark(END + HOUR, OPEN, OPEN)}, {ONE}, OPEN + SECOND) == END + HOUR


def test_a_partition_that_is_busy_itself_counts_from_when_it_came_so_far() -> None:
    mark = Mark(END - SECOND, OPEN, OPEN)
    day, late = 86_400, (END - END.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    came = mark.further(Mark(END, OPEN + SECOND, OPEN + SECOND), day, late)
    assert came == Mark(END, OPEN + SECOND, OPEN + SECOND)
    busy = came.further(Mark(END - HOUR, OPEN + MINUTE, OPEN + MINUTE), day, late)
    busy = busy.further(Mark(END + SECOND, OPEN + 2 * MINUTE, OPEN + 2 * MINUTE), day, late)
    assert busy == Mark(END + SECOND, OPEN + 2 * MINUTE, OPEN + SECOND)
    assert reached({ONE: busy, TWO: Mark(END - HOUR, OPEN + MINUTE, OPEN)}, {ONE, TWO}, OPEN + MINUTE) == busy.at


def test_every_partition_is_read_up_to_what_was_read_last_of_the_slowest() -> None:
    heard = {ONE: OPEN, TWO: OPEN + SECOND}
    assert passed(heard, {ONE, TWO}, None) == OPEN
    assert passed(heard, {TWO}, None) == OPEN + SECOND
    assert passed(heard, {ONE}, OPEN + MINUTE) == OPEN + MINUTE
    assert passed({TWO: OPEN}, {ONE, TWO}, None) is None
    assert passed(heard, set(), None) is None
