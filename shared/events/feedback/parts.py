"""What several facts of feedback are made of."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.registry import Part

Severity = Literal["low", "medium", "high", "critical"]
Resolution = Literal["label_corrected", "model_defect", "data_defect", "works_as_intended"]
Target = Literal["prediction", "slice", "model", "pipeline"]
Via = Literal["api", "list", "upload", "query", "link", "rule"]
TriageState = Literal["triaged", "investigating", "waiting"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "missing"]
Breach = Literal["open", "rate", "severity", "harm"]


class FeedbackPayload(Payload):
    OWNER: ClassVar[str] = "feedback"


class Condition(Part):
    """What one column of predictions must be: `column` as it travels (`feature.NAME`, `output.NAME`, `segment`,
    `entity`). `value`: a number, text or truth; of `in` a list of them; of `missing` true or false."""

    column: str
    op: Operator
    value: Any = True


class PredictionQuery(Part):
    """Predictions of a deployment, from `since` up to before `until`, that meet every condition."""

    deployment: str
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    where: tuple[Condition, ...] = ()


class Attachment(Part):
    """A file that was handed in; it is kept under its digest (hex)."""

    sha256: str
    name: str
    media_type: str
    bytes: int


class LogEnd(Part):
    """Predictions of this partition before this offset count."""

    partition: int
    offset: int
