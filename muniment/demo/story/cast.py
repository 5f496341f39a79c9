"""Who acts, what things are called, and when what happens (UTC, in the year of the flights)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EXPERT = "maria.santos"
"""Duty manager of the airline: asks the question, flags wrong warnings."""
SCIENTIST = "jin.park"
ENGINEER = "lena.vogel"
RISK_MANAGER = "amara.diallo"
OPERATOR = "tom.hughes"
AUDITOR = "ines.moreau"

GOAL = "keep-connections"
KPI = "cost-of-delays"
FLIGHTS, WEATHER, TRAINING = "flights-2013", "weather-2013", "flights-january-to-march"
PIPELINE = "late-flights-training"
MODEL = "late-flights"
DEPLOYMENT = "late-arrivals"
OUTPUT = "probability"

ASKED = datetime(2013, 3, 25, 14, tzinfo=UTC)
TRAINED = datetime(2013, 3, 31, 18, tzinfo=UTC)
LIVE = datetime(2013, 4, 1, tzinfo=UTC)
END = datetime(2014, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The turning points. Flights scored from `start` to `end` are played. `reviews`: days that the expert looks into,
    once all their flights have landed."""

    start: datetime
    end: datetime
    challenge: datetime
    promote: datetime
    reviews: tuple[datetime, ...]
    challenger_percent: float = 50.0


def _day(month: int, day: int) -> datetime:
    return datetime(2013, month, day, tzinfo=UTC)


WHOLE = Schedule(
    start=LIVE,
    end=END + timedelta(days=1),
    challenge=_day(7, 1),
    promote=_day(10, 1),
    reviews=(_day(4, 19), _day(5, 23), _day(6, 24), _day(7, 22), _day(9, 12)),
)
"""April to December."""

SHORT = Schedule(
    start=_day(6, 20),
    end=_day(7, 11),
    challenge=_day(6, 24),
    promote=_day(7, 6),
    reviews=(_day(6, 21), _day(6, 27)),
)
"""Three stormy weeks of summer, for tests: the same turns."""
