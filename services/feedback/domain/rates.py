"""What share of predictions is flagged, by version, segment and category. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist
from typing import Any

from services.feedback.domain.limits import OPEN_STATES

NO_SEGMENT = ""


@dataclass(slots=True)
class Rate:
    """Flagged predictions of so many. `open_predictions`: those whose flags nobody has answered."""

    predictions: int = 0
    flagged: int = 0
    open_flagged: int = 0
    by_category: dict[str, int] = field(default_factory=dict[str, int])

    def told(self) -> dict[str, Any]:
        """As the API tells it; the interval is Wilson's at 95 %."""
        low, high = wilson(min(self.flagged, self.predictions), self.predictions)
        return {
            "predictions": self.predictions,
            "flagged": self.flagged,
            "open": self.open_flagged,
            "rate": self.flagged / self.predictions if self.predictions else None,
            "interval": [low, high] if self.predictions else None,
            "by_category": {
                name: {"flagged": count, "rate": count / self.predictions if self.predictions else None}
                for name, count in sorted(self.by_category.items())
            },
        }


def rates(flags: Iterable[dict[str, Any]], volumes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rates of a deployment: altogether, by version, by version and segment. Rows of the views `flags` and `volumes`.

    Merged flags count with the one that they went into, and lapsed ones have no prediction: neither counts here. What
    is flagged twice, by two people or in two categories, counts twice: `flagged` is a number of flags on predictions.
    What a constant answered is no prediction of the version: it is in no volume, and its flags are not counted.
    """
    whole, versions, segments = Rate(), dict[int, Rate](), dict[tuple[int, str], Rate]()
    for row in volumes:
        key = (row["version"], row["segment"])
        for rate in (whole, versions.setdefault(key[0], Rate()), segments.setdefault(key, Rate())):
            rate.predictions += row["predictions"]
    for flag in flags:
        if not counts(flag):
            continue
        version = versions.setdefault(flag["version"], Rate())
        for rate in (whole, version):
            _count(rate, flag, flag["predictions"])
        for segment, count in _by_segment(flag).items():
            _count(segments.setdefault((flag["version"], segment), Rate()), flag, count)
    return {
        **whole.told(),
        "versions": [{"version": number, **rate.told()} for number, rate in sorted(versions.items())],
        "segments": [
            {"version": number, "segment": segment or None, **rate.told()}
            for (number, segment), rate in sorted(segments.items())
        ],
    }


def counts(flag: dict[str, Any]) -> bool:
    """Whether a flag counts in a rate of its version."""
    known = flag["version"] is not None and flag["state"] not in ("merged", "lapsed")
    return known and bool(flag["predictions"]) and not flag["fallback"]


def wilson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share by Wilson (1927), "Probable inference, the law of succession, and statistical inference";
    (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = hits / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def _by_segment(flag: dict[str, Any]) -> dict[str, int]:
    """Predictions by segment; those without one under NO_SEGMENT."""
    if flag["segments"] is None:
        return {flag["segment"] or NO_SEGMENT: flag["predictions"]}
    told: dict[str, int] = dict(flag["segments"])
    rest = flag["predictions"] - sum(told.values())
    return {**told, NO_SEGMENT: rest} if rest else told


def _count(rate: Rate, flag: dict[str, Any], count: int) -> None:
    rate.flagged += count
    rate.open_flagged += count if flag["state"] in OPEN_STATES else 0
    rate.by_category[flag["category"]] = rate.by_category.get(flag["category"], 0) + count
