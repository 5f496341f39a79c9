"""Facts that only `feedback` may state: what experts and their rules say is wrong, and what became of it."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from shared.events.envelope import BatchPayload, Payload
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


class FlagLinkUsed(FeedbackPayload):
    """A signed link raised its one flag. `issuer`: who made the link."""

    link: str
    issuer: str
    flag: str


class Decision(Part):
    """One row of a decision table: where all of `when` hold, the rule is violated as `category` and `severity` say."""

    when: tuple[Condition, ...]
    category: str
    severity: Severity = "high"
    comment: str = ""


class RuleAdopted(FeedbackPayload):
    """A business rule that every prediction of a deployment is held to from now on: a decision table whose first row
    that applies counts (DMN 1.5, hit policy First). `version` counts from 1."""

    rule: str
    version: int
    deployment: str
    statement: str
    table: tuple[Decision, ...]


class RuleRetired(FeedbackPayload):
    rule: str
    reason: str


class Stratum(Part):
    """Predictions of one kind: `size` of them, of which `drawn` are to be looked at."""

    name: str
    size: int
    drawn: int


class ReviewItem(Part):
    """One prediction to be looked at."""

    prediction_id: str
    stratum: str
    score: float | None = None


class ReviewDrawn(FeedbackPayload):
    """Predictions were drawn at random, without replacement within each stratum, for experts to look at. `seed`: with
    it and the same predictions the draw can be repeated."""

    review: str
    deployment: str
    model: str
    version: int
    design: Literal["stratified", "uncertainty"]
    output: str | None
    seed: int
    since: datetime | None = None
    until: datetime | None = None
    strata: tuple[Stratum, ...]
    items: tuple[ReviewItem, ...]


class ReviewJudged(FeedbackPayload):
    """An expert looked at one prediction of a review."""

    review: str
    prediction_id: str
    wrong: bool
    comment: str = ""


class CorrectionsExported(FeedbackPayload):
    """A data set of everything experts corrected was made for training: file of `sha256`, from these `flags`."""

    export: str
    dataset: str
    version: int
    sha256: str
    rows: int
    flags: tuple[str, ...]
