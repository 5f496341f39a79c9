"""When open flags of a deployed version are too many: by number, by share, by severity, by estimated harm. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.events.feedback import Breach, FlagLimitsSet, Severity

OPEN_STATES = frozenset({"open", "triaged", "investigating", "waiting"})


@dataclass(frozen=True, slots=True)
class Level:
    """What is open of a deployed version. `open_flags` and `by_severity` count predictions that flags stand for; a flag
    on a slice or a version counts as one."""

    flags: int = 0
    open_flags: int = 0
    critical: int = 0
    by_severity: Mapping[Severity, int] = field(default_factory=dict[Severity, int])

    def moved(self, severity: Severity, weight: int, sign: int) -> "Level":
        """The level once a flag of this weight came (`sign` 1) or went (-1)."""
        counts: dict[Severity, int] = {**self.by_severity, severity: self.by_severity.get(severity, 0) + sign * weight}
        return Level(
            self.flags + sign,
            self.open_flags + sign * weight,
            self.critical + (sign if severity == "critical" else 0),
            {name: count for name, count in sorted(counts.items()) if count},
        )


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that is reached: by what `value`, in `unit` where it is money."""

    value: float
    limit: float
    unit: str | None = None


def over(limits: FlagLimitsSet, level: Level, predictions: int, of_constants: int = 0) -> dict[Breach, Over]:
    """The limits that are reached. `predictions`: of the version, altogether. `of_constants`: so many of the open flags
    are on what a constant answered in its place; that is open work as any other, and no share of its predictions."""
    found: dict[Breach, Over] = {}
    if limits.open_flags is not None and level.open_flags >= limits.open_flags:
        found["open"] = Over(level.open_flags, limits.open_flags)
    if limits.critical is not None and level.critical >= limits.critical:
        found["severity"] = Over(level.critical, limits.critical)
    if limits.rate is not None and predictions >= limits.rate_rows:
        share = (level.open_flags - of_constants) / predictions
        if share >= limits.rate:
            found["rate"] = Over(share, limits.rate)
    if limits.harm_limit is not None:
        harm = harm_of(limits, level)
        if harm >= limits.harm_limit:
            found["harm"] = Over(harm, limits.harm_limit, limits.unit)
    return found


def harm_of(limits: FlagLimitsSet, level: Level) -> float:
    """Estimated cost of what is open, in the limits' unit: predictions flagged times the cost of one, by severity."""
    return sum(count * limits.harm.get(severity, 0.0) for severity, count in level.by_severity.items())
