"""A stretch of a deployment's time, as views and archive are asked for it."""

from dataclasses import dataclass
from datetime import datetime

from shared.log.tables import Where, equal


@dataclass(frozen=True, slots=True)
class Span:
    """What lies within [since, until): of a deployment, of one version or all."""

    deployment: str
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self, start: str, end: str) -> tuple[Where, ...]:
        """Conditions that every row of this span meets; `start` and `end` name the columns of its first and last time,
        or one column twice."""
        found = list(equal(deployment=self.deployment))
        if self.version is not None:
            found.append(Where("version", "=", self.version))
        if self.since is not None:
            found.append(Where(end, ">=", self.since))
        if self.until is not None:
            found.append(Where(start, "<", self.until))
        return tuple(found)
