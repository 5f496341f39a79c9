"""What is sent to feedback."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.feedback.domain.conditions import MAX_CONDITIONS
from shared.events.feedback import Condition, Operator, PredictionQuery, Resolution, Severity, TriageState
from shared.runtime.times import Instant

MAX_LIST = 1_000
MAX_IDS = 1_000_000
Text = Annotated[str, Field(max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ConditionBody(Body):
    """One column: `feature.NAME`, `output.NAME`, `segment`, `entity` or `prediction_id`. `in` takes a list, `missing`
    true or false."""

    column: Name
    op: Operator = "="
    value: Any = True

    def said(self) -> Condition:
        value: Any = tuple(self.value) if isinstance(self.value, list) else self.value
        return Condition(column=self.column, op=self.op, value=value)


class QueryBody(Body):
    """Predictions of a deployment, from `from` up to before `to`, that meet every condition."""

    deployment: Name
    version: int | None = None
    since: Instant | None = Field(None, alias="from")
    until: Instant | None = Field(None, alias="to")
    segment: Name | None = None
    entity: Name | None = None
    where: Annotated[list[ConditionBody], Field(max_length=MAX_CONDITIONS)] = []

    def conditions(self) -> tuple[Condition, ...]:
        own = {"segment": self.segment, "entity": self.entity}
        named = [Condition(column=name, op="=", value=value) for name, value in own.items() if value is not None]
        return (*named, *(one.said() for one in self.where))


class AttachmentBody(Body):
    """A file that was sent to /v1/attachments before."""

    sha256: Digest
    name: Name


class FlagBody(Body):
    """One thing that an expert holds for wrong; `expected`: what should have been said, any JSON.

    Exactly one of `prediction_id`, `slice` (predictions of a deployment, those still to come too), `model` (with or
    without `version`) and `pipeline`.
    """

    prediction_id: Name | None = None
    slice: QueryBody | None = None
    model: Name | None = None
    version: int | None = None
    pipeline: Name | None = None
    category: Name
    severity: Severity = "medium"
    expected: Any = None
    comment: Text = ""
    attachments: Annotated[list[AttachmentBody], Field(max_length=100)] = []
    at: Instant | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        named = [self.prediction_id, self.slice, self.model, self.pipeline]
        if sum(one is not None for one in named) != 1:
            raise ValueError("name exactly one of prediction_id, slice, model and pipeline")
        if self.version is not None and self.model is None:
            raise ValueError("'version' belongs to 'model'; a slice has a version of its own")
        return self


class BulkBody(Body):
    """Exactly one of `flags` (up to 1,000, each with its own words, all or none), `predictions` (ids) and `query`; the
    latter two share category, severity, expected and comment, and are done as a job."""

    flags: Annotated[list[FlagBody], Field(min_length=1, max_length=MAX_LIST)] | None = None
    predictions: Annotated[list[Name], Field(min_length=1, max_length=MAX_IDS)] | None = None
    query: QueryBody | None = None
    category: Name | None = None
    severity: Severity = "medium"
    expected: Any = None
    comment: Text = ""
    at: Instant | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(one is not None for one in (self.flags, self.predictions, self.query)) != 1:
            raise ValueError("name exactly one of flags, predictions and query")
        if self.flags is None and self.category is None:
            raise ValueError("name the category of what is wrong")
        return self


class TriageBody(Body):
    """`due`: until when it is answered; left out, it follows from the severity where that changes."""

    assignee: Name
    severity: Severity | None = None
    state: TriageState = "triaged"
    due: Instant | None = None
    comment: Text = ""
    at: Instant | None = None


class ResolveBody(Body):
    """`label`: what came true, as a number, for label_corrected; left out, what the flag expected."""

    resolution: Resolution
    comment: Annotated[str, Field(min_length=1, max_length=10_000)]
    label: float | None = None
    at: Instant | None = None


class MergeBody(Body):
    into: Name
    comment: Text = ""
    at: Instant | None = None


class CommentBody(Body):
    comment: Annotated[str, Field(min_length=1, max_length=10_000)]
    at: Instant | None = None


State = Literal["open", "triaged", "investigating", "waiting", "resolved", "merged", "lapsed"]


def query_of(body: QueryBody, moment: Any) -> PredictionQuery:
    """The query as it is kept; `moment` brings a time to UTC."""
    return PredictionQuery(
        deployment=body.deployment,
        version=body.version,
        since=moment(body.since) if body.since else None,
        until=moment(body.until) if body.until else None,
        where=body.conditions(),
    )
