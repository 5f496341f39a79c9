"""What gates are judged by besides policies and the model's own history: the moment, and flags that are open."""

from dataclasses import dataclass
from datetime import datetime

from shared.events.registry import FlagSeverity


@dataclass(frozen=True, slots=True)
class OpenFlag:
    """A flag that nobody has resolved. `version` None: it is about every version of the model."""

    flag: str
    model: str
    version: int | None
    severity: FlagSeverity


@dataclass(frozen=True, slots=True)
class Seen:
    """`at`: the moment of judging; None where age does not count."""

    at: datetime | None = None
    flags: tuple[OpenFlag, ...] = ()

    def past(self, moment: datetime | None) -> bool:
        """Whether that moment has come."""
        return moment is not None and self.at is not None and self.at >= moment
