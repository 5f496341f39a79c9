"""How far, how fast, how long yet."""

from shared.runtime.progress import Progress


def test_rate_and_time_left_are_those_of_the_last_seconds() -> None:
    progress = Progress()
    assert progress.measured(0.0, 0, 1_000).seconds_left is None
    assert progress.measured(10.0, 100, 1_000).seconds_left == 90.0
    told = progress.measured(40.0, 700, 1_000)
    assert (told.per_second, told.seconds_left) == (20.0, 15.0)
    assert str(told) == "700 of 1,000 records (70.0 %), 20 a second, 15 s left"
    assert progress.measured(60.0, 1_000, 1_000).seconds_left == 0.0


def test_a_rebuild_begins_anew_and_a_standstill_has_no_end() -> None:
    progress = Progress()
    progress.measured(0.0, 500, 1_000)
    assert progress.measured(1.0, 0, 1_000).per_second == 0.0
    assert progress.measured(2.0, 0, 1_000).seconds_left is None
    assert str(progress.measured(3.0, 2, 10_802)).endswith("a second, 3 h 0 min left")


def test_an_empty_log_is_there_at_once() -> None:
    assert str(Progress().measured(0.0, 0, 0)) == "0 of 0 records (100.0 %), 0 a second, 0 s left"
