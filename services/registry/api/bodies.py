"""What clients send. Forgiving where only one thing can be meant, strict about everything else."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from shared.events import registry as facts
from shared.runtime.times import Instant

_TYPES = {"float": "double", "number": "double", "int": "long", "integer": "long", "bool": "boolean", "str": "string"}
Name = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(max_length=20_000)]


def _fields(value: Any) -> Any:
    """`{name: type}` as `[{name, type}]`, and everyday type names as those of the signature."""
    if isinstance(value, dict):
        value = [{"name": name, "type": kind} for name, kind in value.items()]
    if isinstance(value, list):
        return [{**one, "type": _TYPES.get(one.get("type"), one.get("type"))} if _named(one) else one for one in value]
    return value


def _named(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _dataset(value: Any) -> Any:
    """`name`, `name@2` or `{dataset, version}`; no version means the newest."""
    if not isinstance(value, str):
        return value
    name, at, version = value.rpartition("@")
    return {"dataset": name, "version": version} if at and version.isdigit() else {"dataset": value}


Fields = Annotated[tuple[facts.Field, ...], BeforeValidator(_fields)]


class Body(BaseModel):
    """`at`: when it happened; now where it is left out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    at: Instant | None = None


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class DatasetItem(Part):
    dataset: Name
    version: Annotated[int, Field(ge=1)] | None = None


DatasetRef = Annotated[DatasetItem, BeforeValidator(_dataset)]


class SignatureBody(Part):
    """`subject`: what names the person that a prediction is about: `entity`, or an input of type string or long."""

    inputs: Fields = ()
    outputs: Fields = ()
    subject: Annotated[str, Field(min_length=1, max_length=500)] | None = None

    def stated(self) -> facts.Signature:
        return facts.Signature(inputs=self.inputs, outputs=self.outputs, subject=self.subject)


class ArtifactBody(Part):
    """`sha256` may be left out only where the model is served elsewhere (`external:…`)."""

    uri: Annotated[str, Field(min_length=1, max_length=2_000)]
    sha256: str = ""
    size: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class GoalBody(Body):
    name: Name
    question: Annotated[str, Field(min_length=1, max_length=2_000)]
    owner: Name | None = None
    decision: Text = ""
    description: Text = ""


class KpiBody(Body):
    name: Name
    goal: Name
    unit: Name
    direction: Literal["lower", "higher"]
    target: float | None = None
    formula: facts.Formula
    description: Text = ""


class DatasetBody(Body):
    name: Name
    uri: Annotated[str, Field(min_length=1, max_length=2_000)]
    digest: str | None = None
    rows: Annotated[int, Field(ge=0)] | None = None
    columns: Annotated[tuple[facts.Column, ...], Field(max_length=10_000)] = ()
    description: Text = ""
    bytes: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class PipelineBody(Body):
    name: Name
    description: Text = ""
    technique: Text = ""
    steps: Annotated[tuple[facts.Step, ...], Field(max_length=1_000)] = ()
    code: facts.Code | None = None


class RunBody(Body):
    run: Name
    state: Literal["running", "succeeded", "failed"] = "succeeded"
    started_at: Instant
    ended_at: Instant | None = None
    inputs: tuple[DatasetRef, ...] = ()
    outputs: tuple[DatasetRef, ...] = ()
    code: facts.Code | None = None
    parameters: dict[str, Any] = {}


class ModelBody(Body):
    name: Name
    goal: Name | None = None
    owner: Name | None = None
    risk_tier: facts.RiskTier = "medium"
    technique: Text = ""
    description: Text = ""


class ReferenceAt(Part):
    """A file of CSV, Parquet or JSON columns, read when the version is registered; `sha256`: what it must have."""

    uri: Annotated[str, Field(min_length=1, max_length=2_000)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None


Values = dict[str, tuple[bool | int | float | str | None, ...]]


def _reference(value: Any, values: ValidatorFunctionWrapHandler) -> Any:
    """`{uri: "…"}` is a file; `{uri: [...]}` a feature of that name."""
    if isinstance(value, dict) and isinstance(value.get("uri"), str):
        return ReferenceAt.model_validate(value)
    return value if isinstance(value, ReferenceAt) else values(value)


_VALUES_SCHEMA = {
    "type": "object",
    "description": "Values by feature.",
    "additionalProperties": {"type": "array", "items": {"type": ["boolean", "number", "string", "null"]}},
}
_AT_SCHEMA = ReferenceAt.model_json_schema()
Reference = Annotated[Values, WrapValidator(_reference), WithJsonSchema({"anyOf": [_VALUES_SCHEMA, _AT_SCHEMA]})]


class VersionBody(Body):
    """`reference`: what each feature looked like in training, as values or as the `uri` of a file that holds them.

    `parents` left out: the newest version of the branch. `signature` left out: features are not checked.

    `task`: binary, multiclass (with `classes`) or regression; left out, it follows from outputs and KPIs.
    `protected`: attributes by which the monitor compares groups: `{name, feature?, edges?, reference?}`; without a
    feature the groups are those of the predictions' `segment`.
    """

    artifact: ArtifactBody
    framework: str = ""
    signature: SignatureBody = SignatureBody()
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    training_data: tuple[DatasetRef, ...] = ()
    pipeline_run: str | None = None
    code: facts.Code | None = None
    branch: Name = "main"
    parents: tuple[int, ...] | None = None
    reference: Reference = {}
    description: Text = ""
    task: facts.Task | None = None
    classes: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=100)] = ()
    protected: Annotated[tuple[facts.Protected, ...], Field(max_length=20)] = ()


class EvidenceBody(Body):
    kind: facts.EvidenceKind
    name: Name
    passed: bool
    metrics: dict[str, float] = {}
    report: Annotated[str, Field(max_length=100_000)] = ""


class ApprovalBody(Body):
    decision: Literal["approve", "reject"]
    role: Name
    comment: Text = ""
    conditions: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1_000)], ...], Field(max_length=100)] = ()
    expires: Instant | None = None


class AliasBody(Body):
    """`version` null takes the alias away."""

    version: Annotated[int, Field(ge=1)] | None
    reason: Text = ""


class TagBody(Body):
    """`value` null takes the tag away; that it was there stays on record."""

    value: Annotated[str, Field(max_length=100_000)] | None
    reason: Text = ""


class RetireBody(Body):
    reason: Annotated[str, Field(min_length=1, max_length=20_000)]


class ValueItem(Part):
    value: bool | int | float | str | list[Any] | dict[str, Any] | None


Resolution = Literal["ours", "theirs"] | ValueItem


class MergeBody(Body):
    """Merge `source` (a branch, or one `version` of it) into the branch of the path.

    `onto`: the newest version of that branch as the merger saw it; left out, what it is when the request comes.
    `resolve`: per item (`params.NAME`, `training_data.NAME`, `code`, `artifact`) whose state wins if both changed it;
    a parameter may take a new `{"value": …}`. `trained`: the version as trained anew, where neither artifact will do;
    its `branch`, `parents`, `params`, `training_data` and `code` are not looked at.
    """

    source: Name | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    onto: Annotated[int, Field(ge=1)] | None = None
    resolve: Annotated[dict[str, Resolution], Field(max_length=10_000)] = {}
    trained: VersionBody | None = None
    description: Text = ""


class InformingItem(Part):
    model: Name
    how: Text = ""


Names = Annotated[tuple[Name, ...], Field(max_length=1_000)]


class DecisionBody(Body):
    """`dmn`: the decision model as DMN XML; one of its decisions has this one's name as its id or name."""

    name: Name
    question: Annotated[str, Field(min_length=1, max_length=2_000)]
    owner: Name | None = None
    answers: Annotated[tuple[Annotated[str, Field(max_length=500)], ...], Field(max_length=1_000)] = ()
    goal: Name | None = None
    kpis: Names = ()
    models: Annotated[tuple[InformingItem, ...], Field(max_length=1_000)] = ()
    requires: Names = ()
    authorities: Annotated[tuple[Annotated[str, Field(max_length=2_000)], ...], Field(max_length=1_000)] = ()
    description: Text = ""
    dmn: Annotated[str, Field(max_length=2_000_000)] = ""
