"""A circuit breaker, by a clock of the test's own."""

from services.deployer.serving.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_failures_in_a_row_open_it_and_one_request_at_a_time_tries_again() -> None:
    clock = Clock()
    breaker = Breaker(2, 5.0, clock)
    breaker.failed()
    assert breaker.wait() == 0.0
    breaker.succeeded()
    breaker.failed()
    assert breaker.wait() == 0.0
    breaker.failed()
    assert (breaker.is_open, breaker.wait()) == (True, 5.0)
    clock.now = 3.0
    assert breaker.wait() == 2.0
    clock.now = 5.0
    assert breaker.wait() == 0.0
    assert breaker.wait() > 0.0, "somebody tries already"
    breaker.failed()
    assert breaker.wait() == 5.0
    clock.now = 10.0
    assert breaker.wait() == 0.0
    breaker.left()
    assert breaker.wait() == 0.0, "whoever tried went away without an answer"
    breaker.succeeded()
    assert (breaker.is_open, breaker.wait(), breaker.wait()) == (False, 0.0, 0.0)
