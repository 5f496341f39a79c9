"""Facts that only `feedback` may state: what experts say is wrong, and what became of it."""

from typing import Any, ClassVar, Literal

from shared.events.envelope import Payload

Severity = Literal["low", "medium", "high", "critical"]
Resolution = Literal["label_corrected", "model_defect", "data_defect", "works_as_intended"]


class FeedbackPayload(Payload):
    OWNER: ClassVar[str] = "feedback"


class FeedbackFlagged(FeedbackPayload):
    """`batch` and `row` place the prediction in the log; both None while its prediction is not known (yet)."""

    flag: str
    prediction_id: str
    deployment: str | None = None
    model: str | None = None
    version: int | None = None
    batch: str | None = None
    row: int | None = None
    category: str
    severity: Severity
    expected: Any = None
    comment: str = ""


class FlagLocated(FeedbackPayload):
    """The prediction of a pending flag turned up."""

    flag: str
    prediction_id: str
    deployment: str
    model: str
    version: int
    batch: str
    row: int


class FlagTriaged(FeedbackPayload):
    flag: str
    assignee: str
    severity: Severity
    comment: str = ""


class FlagCommented(FeedbackPayload):
    flag: str
    comment: str


class FlagResolved(FeedbackPayload):
    flag: str
    resolution: Resolution
    comment: str


class FlagThresholdBreached(FeedbackPayload):
    """Open flags of a deployed version reached the limit at which someone must act."""

    deployment: str
    model: str
    version: int
    open_flags: int
    threshold: int
