"""What became of a flag: who looks at it, what was said, how it was answered, and the labels that were corrected."""

from datetime import datetime
from typing import ClassVar

from shared.events.envelope import BatchPayload
from shared.events.feedback.parts import FeedbackPayload, Resolution, Severity, TriageState


class FlagTriaged(FeedbackPayload):
    flag: str
    assignee: str
    severity: Severity
    comment: str = ""
    state: TriageState = "triaged"
    due: datetime | None = None


class FlagCommented(FeedbackPayload):
    flag: str
    comment: str


class FlagMerged(FeedbackPayload):
    """This flag says the same as another, and is answered with it."""

    flag: str
    into: str
    comment: str = ""


class FlagResolved(FeedbackPayload):
    """`label`: what came true by the expert's word, where the label was corrected, as a number."""

    flag: str
    resolution: Resolution
    comment: str
    label: float | None = None


class LabelsCorrected(BatchPayload):
    """What experts say came true. Rows: `prediction_id` utf8, `at` timestamp[us, UTC], `value` float64."""

    OWNER: ClassVar[str] = "feedback"
    flag: str
    deployment: str
    model: str
    version: int
    part: int = 0


class CorrectionsExported(FeedbackPayload):
    """A data set of everything experts corrected was made for training: file of `sha256`, from these `flags`."""

    export: str
    dataset: str
    version: int
    sha256: str
    rows: int
    flags: tuple[str, ...]
