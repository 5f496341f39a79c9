"""How far a consumer is, how fast it goes, and when it will be there. Pure."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

SECONDS = 30.0
"""The rate is that of the last so many seconds: what came before says little about what is to come."""

MOST = 120
"""Measurements that are remembered."""


@dataclass(frozen=True, slots=True)
class Told:
    """`records` of `of` applied; `per_second`: at which rate; `seconds_left`: None where that cannot be told."""

    records: int
    of: int
    per_second: float
    seconds_left: float | None

    @property
    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        share = 100 * self.records / self.of if self.of else 100.0
        left = "" if self.seconds_left is None else f", {_duration(self.seconds_left)} left"
        return f"{self.records:,} of {self.of:,} records ({share:.1f} %), {self.per_second:,.0f} a second{left}"


@dataclass(slots=True)
class Progress:
    """Measurements of one consumer, the newest last: seconds of a clock that only goes forwards, and records."""

    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque[tuple[float, int]](maxlen=MOST))

    def measured(self, at: float, records: int, of: int) -> Told:
        """Take a measurement in: so many of so many records are applied."""
        if self._seen and records < self._seen[-1][1]:
            self._seen.clear()  # a rebuild has begun
        self._seen.append((at, records))
        while len(self._seen) > 2 and at - self._seen[0][0] > SECONDS:
            self._seen.popleft()
        began, first = self._seen[0]
        rate = (records - first) / (at - began) if at > began else 0.0
        left = max(0, of - records)
        return Told(records, of, round(rate, 1), 0.0 if not left else round(left / rate, 1) if rate else None)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
