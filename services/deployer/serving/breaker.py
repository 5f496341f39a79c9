"""A circuit breaker for a remote model: after some failures in a row nobody waits for it any more, and one request at a
time tries whether it is back. Source: M. Nygard, Release It!, 2nd ed. 2018, ch. 5."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic


@dataclass(slots=True)
class Breaker:
    """`failures` in a row open it for `seconds`. For one event loop."""

    failures: int
    seconds: float
    clock: Callable[[], float] = monotonic
    _failed: int = 0
    _opened: float = 0.0
    _trying: bool = False

    @property
    def is_open(self) -> bool:
        return self._failed >= self.failures

    def wait(self) -> float:
        """Seconds until a request may try; 0: now. Whoever is told 0 must tell how it went."""
        if not self.is_open:
            return 0.0
        left = self._opened + self.seconds - self.clock()
        if left > 0:
            return left
        if self._trying:
            return self.seconds
        self._trying = True
        return 0.0

    def succeeded(self) -> None:
        self._failed, self._trying = 0, False

    def failed(self) -> None:
        self._failed += 1
        self._opened, self._trying = self.clock(), False

    def left(self) -> None:
        """The request ended without an answer of the server, for a reason of its own."""
        self._trying = False
