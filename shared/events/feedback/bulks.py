"""Many flags by one request: asked for, under way, ended."""

from typing import Any, Literal

from shared.events.feedback.parts import FeedbackPayload, LogEnd, PredictionQuery, Severity, Via


class BulkFlagRequested(FeedbackPayload):
    """Many predictions are to be flagged: those that `query` finds before `ends` in the log, or `listed` many by id."""

    bulk: str
    category: str
    severity: Severity
    expected: Any = None
    comment: str = ""
    via: Via
    query: PredictionQuery | None = None
    listed: int = 0
    ends: tuple[LogEnd, ...] = ()


class BulkFlagAdvanced(FeedbackPayload):
    """How far a bulk has got: `partition` and `offset` of the last batch looked at, or `listed` ids of the list.
    `looked` and `flagged`: predictions so far; `pending` ones are not known yet and wait as flags of their own,
    `refused` ones name a row that their batch does not have, or were too many to wait. `flags`: the flag of each
    `version/category/severity`, behind `deployment/` for a list."""

    bulk: str
    partition: int = -1
    offset: int = -1
    listed: int = 0
    looked: int
    flagged: int
    pending: int = 0
    refused: int = 0
    flags: dict[str, str]


class BulkFlagEnded(FeedbackPayload):
    """Counts as in BulkFlagAdvanced, of the whole."""

    bulk: str
    state: Literal["completed", "failed"]
    reason: str = ""
    flagged: int
    pending: int = 0
    refused: int = 0
