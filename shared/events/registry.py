"""Facts that only `registry` may state: the business question, the data, the models, and who allowed what."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from shared.events.envelope import Payload

Stage = Literal["staging", "production"]
EvidenceKind = Literal["quality", "performance", "security", "availability", "compliance"]
RiskTier = Literal["low", "medium", "high"]
Task = Literal["binary", "multiclass", "regression"]


class Part(BaseModel):
    """A frozen value inside an event."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Formula(Part):
    """How a KPI is computed. `cost`: money lost per scored case by the confusion at `threshold` (costs in `unit`).

    `output` names the output column that holds the score; None takes the only one.
    `metric`: a quality metric of the window by its name, such as `auc` or `mae`.
    `formula`: an `expression` of such metrics (`shared.events.expression`), in `unit` for all cases together.
    """

    kind: Literal["cost", "metric", "formula"]
    output: str | None = None
    threshold: float | None = None
    true_positive: float = 0.0
    false_positive: float = 0.0
    false_negative: float = 0.0
    true_negative: float = 0.0
    metric: str | None = None
    expression: str | None = None


class Column(Part):
    name: str
    type: str
    description: str = ""
    sources: tuple[str, ...] = ()


class DatasetRef(Part):
    dataset: str
    version: int


class Step(Part):
    name: str
    description: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


class Code(Part):
    repo: str
    commit: str
    path: str | None = None


class Artifact(Part):
    """Where the model lies and its SHA-256 (hex). A uri `external:…` means served elsewhere."""

    uri: str
    sha256: str


class Field(Part):
    """One input or output of a model. `type`: double, long, boolean or string; `unit`: of its numbers, as `min`."""

    name: str
    type: Literal["double", "long", "boolean", "string"]
    required: bool = True
    description: str = ""
    unit: str = ""


class Signature(Part):
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


class Protected(Part):
    """An attribute by which nobody may be treated worse: groups by the values of an input, or by the predictions'
    `segment` (`feature` None).

    `edges`, ascending: of a number input, where one band ends and the next begins (each band holds its lower edge).
    `reference`: the group that others are compared with; None takes the one with the most predictions.
    """

    name: str
    feature: str | None = None
    edges: tuple[float, ...] = ()
    reference: str | None = None


class Rule(Part):
    """One rule of a gate and how it fell out; `evidence` holds ids of the events that it rests on."""

    rule: str
    passed: bool
    reason: str
    evidence: tuple[str, ...] = ()


class RegistryPayload(Payload):
    OWNER: ClassVar[str] = "registry"


class GoalStated(RegistryPayload):
    goal: str
    question: str
    owner: str
    decision: str = ""
    description: str = ""


class KpiDefined(RegistryPayload):
    kpi: str
    goal: str
    unit: str
    direction: Literal["lower", "higher"]
    target: float | None = None
    formula: Formula
    description: str = ""


class DatasetRegistered(RegistryPayload):
    dataset: str
    version: int
    uri: str
    digest: str | None = None
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    description: str = ""


class PipelineRegistered(RegistryPayload):
    pipeline: str
    description: str = ""
    technique: str = ""
    steps: tuple[Step, ...] = ()
    code: Code | None = None


class PipelineRunRecorded(RegistryPayload):
    pipeline: str
    run: str
    state: Literal["running", "succeeded", "failed"]
    started_at: datetime
    ended_at: datetime | None = None
    inputs: tuple[DatasetRef, ...] = ()
    outputs: tuple[DatasetRef, ...] = ()
    code: Code | None = None
    parameters: dict[str, Any] = {}


class ModelRegistered(RegistryPayload):
    model: str
    goal: str | None = None
    owner: str
    risk_tier: RiskTier = "medium"
    technique: str = ""
    description: str = ""


class ReferenceSource(Part):
    """The file that a reference was read from when it was registered: its SHA-256 (hex) and its number of rows."""

    uri: str
    sha256: str
    rows: int


class ModelVersionRegistered(RegistryPayload):
    """`reference`: what each feature looked like in training, as values (numbers, strings, booleans or null);
    `reference_source`: the file that they are a sample of, if it was one.

    `task`: what kind of problem the outputs answer; None leaves it to the outputs' types, the KPIs and names.
    `classes`: of a multiclass problem, in the order of the codes that outcomes name them by (0, 1, …).
    """

    model: str
    version: int
    artifact: Artifact
    framework: str = ""
    signature: Signature
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    training_data: tuple[DatasetRef, ...] = ()
    pipeline_run: str | None = None
    code: Code | None = None
    branch: str = "main"
    parents: tuple[int, ...] = ()
    reference: dict[str, tuple[float | str | bool | None, ...]] = {}
    description: str = ""
    task: Task | None = None
    classes: tuple[str, ...] = ()
    protected: tuple[Protected, ...] = ()
    reference_source: ReferenceSource | None = None


class EvidenceRecorded(RegistryPayload):
    model: str
    version: int
    evidence: str
    kind: EvidenceKind
    name: str
    passed: bool
    metrics: dict[str, float] = {}
    report: str = ""


class ApprovalGranted(RegistryPayload):
    model: str
    version: int
    approval: str
    role: str
    comment: str = ""
    conditions: tuple[str, ...] = ()


class ApprovalRejected(RegistryPayload):
    model: str
    version: int
    approval: str
    role: str
    comment: str = ""


class GateChanged(RegistryPayload):
    """The gate of a version opened or closed, or its reasons changed; stated by the same decision that changed it."""

    model: str
    version: int
    stage: Stage
    allowed: bool
    rules: tuple[Rule, ...]


class AliasMoved(RegistryPayload):
    model: str
    alias: str
    before: int | None
    after: int | None
    reason: str = ""


class PolicyAdopted(RegistryPayload):
    """What a stage demands: kinds of evidence that passed, roles that approved, and whether an author may approve."""

    stage: Stage
    version: int
    evidence: tuple[EvidenceKind, ...]
    approvals: tuple[str, ...]
    four_eyes: bool = True
    goal_required: bool = True
