"""Flags: who said that something is wrong, of which predictions."""

from datetime import datetime
from typing import Any, ClassVar

from shared.events.envelope import BatchPayload
from shared.events.feedback.parts import Attachment, FeedbackPayload, PredictionQuery, Severity, Target, Via


class FeedbackFlagged(FeedbackPayload):
    """`batch` and `row` place the prediction in the log; both None while its prediction is not known (yet).

    `target`: of what kind the flagged thing is. A slice has `slice`, a pipeline has `pipeline`, and neither these nor a
    model have a prediction. `due`: when somebody has to have answered.
    """

    flag: str
    prediction_id: str = ""
    deployment: str | None = None
    model: str | None = None
    version: int | None = None
    batch: str | None = None
    row: int | None = None
    category: str
    severity: Severity
    expected: Any = None
    comment: str = ""
    target: Target = "prediction"
    slice: PredictionQuery | None = None
    pipeline: str | None = None
    attachments: tuple[Attachment, ...] = ()
    via: Via = "api"
    due: datetime | None = None


class PredictionsFlagged(BatchPayload):
    """Part of a flag that stands for many predictions of one version at once. Rows: `batch` utf8 (dictionary), `row`
    int32, optional `prediction_id` (the client's own), `segment` and `expected` (JSON), all utf8.

    `batches` names the batches of predictions touched. `total` and `segments`: predictions of the flag so far, this
    part included, altogether and by segment. `bulk` or `rule`: what raised it.
    """

    OWNER: ClassVar[str] = "feedback"
    flag: str
    part: int
    deployment: str
    model: str
    version: int
    category: str
    severity: Severity
    comment: str = ""
    via: Via
    bulk: str | None = None
    rule: str | None = None
    batches: tuple[str, ...]
    total: int
    segments: dict[str, int] = {}
    due: datetime | None = None


class FlagLocated(FeedbackPayload):
    """The prediction of a pending flag turned up. `reopened`: the flag had lapsed, and is open again."""

    flag: str
    prediction_id: str
    deployment: str
    model: str
    version: int
    batch: str
    row: int
    reopened: bool = False


class FlagLapsed(FeedbackPayload):
    """The prediction of a pending flag did not turn up in the stated time; the flag is kept, and counts no more."""

    flag: str
    prediction_id: str
    waited_seconds: float


class FlagLinkUsed(FeedbackPayload):
    """A signed link raised its one flag. `issuer`: who made the link."""

    link: str
    issuer: str
    flag: str
