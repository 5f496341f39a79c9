"""When flags have consequences."""

from shared.events.feedback.parts import Breach, FeedbackPayload, Severity


class FlagThresholdBreached(FeedbackPayload):
    """Open flags of a deployed version reached the limit at which someone must act. `kind`: which limit; `value` and
    `limit`: flagged predictions, share of predictions, critical flags, or money in `unit`, as the kind is."""

    deployment: str
    model: str
    version: int
    open_flags: int
    threshold: int
    kind: Breach = "open"
    value: float | None = None
    limit: float | None = None
    unit: str | None = None


class FlagThresholdCleared(FeedbackPayload):
    """A limit that was reached is reached no more."""

    deployment: str
    model: str
    version: int
    open_flags: int
    kind: Breach


class FlagLimitsSet(FeedbackPayload):
    """From when on flags of a deployment are too many; a limit that is None does not count. `harm`: estimated cost of
    one flagged prediction by severity, in `unit`; `rate`: share of all predictions, once there are `rate_rows`."""

    deployment: str
    open_flags: int | None = None
    rate: float | None = None
    rate_rows: int = 1_000
    critical: int | None = None
    harm: dict[Severity, float] = {}
    harm_limit: float | None = None
    unit: str = ""
