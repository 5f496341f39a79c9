"""The two times of a question, as conditions on the ledger and on the graph."""

from dataclasses import dataclass
from datetime import datetime

from shared.log.tables import Where


@dataclass(frozen=True, slots=True)
class Moment:
    """What was true at `at`, as it was known at `known_at`."""

    at: datetime
    known_at: datetime

    @property
    def facts(self) -> tuple[Where, ...]:
        return (Where("valid_at", "<=", self.at), Where("known_at", "<=", self.known_at))

    @property
    def events(self) -> tuple[Where, ...]:
        return (Where("time", "<=", self.at), Where("recorded", "<=", self.known_at))
