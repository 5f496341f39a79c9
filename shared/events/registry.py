"""Facts that only `registry` may state: the business question, the data, the models, and who allowed what."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from shared.events.envelope import Payload

Stage = Literal["staging", "production"]
EvidenceKind = Literal["quality", "performance", "security", "availability", "compliance"]
RiskTier = Literal["low", "medium", "high"]
Task = Literal["binary", "multiclass", "regression"]
MlflowStage = Literal["None", "Staging", "Production", "Archived"]
Side = Literal["ours", "theirs", "both", "given"]
FlagSeverity = Literal["low", "medium", "high", "critical"]


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
    """`sources`: columns that it is made of, as `DATASET.COLUMN`. `statistics`: figures by name, such as `missing`,
    `distinct`, `min`, `max` and `mean`."""

    name: str
    type: str
    description: str = ""
    sources: tuple[str, ...] = ()
    statistics: dict[str, float] = {}


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
    """Where the model lies, its SHA-256 (hex) and its `size` in bytes. A uri `external:…` means served elsewhere; an
    empty digest, that whoever registered it gave none, so that nothing here can serve it."""

    uri: str
    sha256: str
    size: int | None = None


class Field(Part):
    """One input or output of a model. `type`: double, long, boolean or string; `unit`: of its numbers, as `min`.
    `personal`: of an input, that its values are a person's, and reach the log only encrypted with that person's key."""

    name: str
    type: Literal["double", "long", "boolean", "string"]
    required: bool = True
    description: str = ""
    unit: str = ""
    personal: bool = False


class Signature(Part):
    """`subject`: who a prediction is about, where that is a person: `entity`, or the name of an input. None: nobody,
    or `entity` where there are personal inputs."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    subject: str | None = None

    @property
    def personal(self) -> tuple[str, ...]:
        """The inputs that reach the log encrypted: those marked, and the one that names the subject."""
        return tuple(one.name for one in self.inputs if one.personal or one.name == self.subject)

    @property
    def about(self) -> str | None:
        """What names the person that a prediction is about; None where no person is declared."""
        return self.subject or ("entity" if self.personal else None)


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
    """One rule of a gate and how it fell out; `evidence` holds ids of the events that it rests on.

    `exception`: the exception by which it passes although it does not hold."""

    rule: str
    passed: bool
    reason: str
    evidence: tuple[str, ...] = ()
    exception: str | None = None


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
    bytes: int | None = None


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


class Merged(Part):
    """How a version with two parents came about: `ours` (of the branch merged into) and `theirs`, their nearest common
    ancestor `base` (None: they have none), and for everything that changed since then whose state won."""

    ours: int
    theirs: int
    base: int | None
    won: dict[str, Side] = {}


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
    merged: Merged | None = None
    run_link: str = ""


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
    """`expires`: from when on it counts no more. `conditions`: what has to be met (see `ConditionMet`)."""

    model: str
    version: int
    approval: str
    role: str
    comment: str = ""
    conditions: tuple[str, ...] = ()
    expires: datetime | None = None


class ApprovalRejected(RegistryPayload):
    model: str
    version: int
    approval: str
    role: str
    comment: str = ""


class GateChanged(RegistryPayload):
    """The gate of a version opened or closed, or its reasons changed; stated by the same decision that changed it.

    `policy_version`: of the policy that it was judged by. `until`: when time alone may change it, where it may."""

    model: str
    version: int
    stage: Stage
    allowed: bool
    rules: tuple[Rule, ...]
    policy_version: int | None = None
    until: datetime | None = None


class AliasMoved(RegistryPayload):
    model: str
    alias: str
    before: int | None
    after: int | None
    reason: str = ""


class PolicyInput(Part):
    """A column of a policy's table: its `name` and the expression whose value its cells test (None: that name)."""

    name: str
    expression: str | None = None


class PolicyRow(Part):
    """One row of a policy's table. `when`: a unary test per input, such as `"high"`, `> 5` or `"a", "b"`; an input
    that is left out may be anything. What else is given is demanded, besides what the policy demands anyway.

    `evidence_days` and `approval_days` hold for the evidence and the approvals that this row names.
    """

    when: dict[str, str] = {}
    evidence: tuple[EvidenceKind, ...] = ()
    evidence_days: int | None = None
    approvals: tuple[str, ...] = ()
    approval_days: int | None = None
    four_eyes: bool | None = None
    goal_required: bool | None = None
    conditions_met: bool | None = None
    flags: FlagSeverity | None = None
    annotation: str = ""


class PolicyTable(Part):
    """A decision table (OMG DMN 1.5): which rows a version is held to. `hit`: all that apply, the first, or one only."""

    hit: Literal["collect", "first", "unique"] = "collect"
    inputs: tuple[PolicyInput, ...]
    rows: tuple[PolicyRow, ...]


class PolicyPayload(RegistryPayload):
    """What a stage demands: kinds of evidence that passed, roles that approved, and whether an author may approve.

    `evidence_days`, `approval_days`: from which age they count no more. `flags`: from which severity on an open flag
    blocks. `conditions_met`: whether the conditions of approvals must have been met. `table`: what is demanded besides,
    by the risk tier and the like. `two_to_change`: whether the next change needs the word of a second person.
    `dmn`: the XML that the table was read from, `dmn_sha256` (hex) of it.
    """

    stage: Stage
    version: int
    evidence: tuple[EvidenceKind, ...]
    approvals: tuple[str, ...]
    four_eyes: bool = True
    goal_required: bool = True
    evidence_days: int | None = None
    approval_days: int | None = None
    flags: FlagSeverity | None = None
    conditions_met: bool = False
    table: PolicyTable | None = None
    two_to_change: bool = False
    dmn: str = ""
    dmn_sha256: str = ""
    comment: str = ""


class PolicyAdopted(PolicyPayload):
    """What a stage demands from now on. `proposal`, `proposed_by`: where a second person adopted what one proposed."""

    proposal: str = ""
    proposed_by: str = ""


class PolicyProposed(PolicyPayload):
    """What a stage may demand once a second person agrees. `version`: which one it would be."""

    proposal: str


class PolicyDeclined(RegistryPayload):
    """A proposed policy will not be adopted."""

    stage: Stage
    proposal: str
    comment: str = ""


class ConditionMet(RegistryPayload):
    """A condition of an approval was met, by the word of somebody other than the version's author."""

    model: str
    version: int
    approval: str
    condition: str
    comment: str = ""


class ExceptionGranted(RegistryPayload):
    """One rule need not hold for one version's gate until `expires`, by name and for a reason."""

    model: str
    version: int
    exception: str
    stage: Stage
    rule: str
    role: str
    reason: str
    expires: datetime


class ExceptionWithdrawn(RegistryPayload):
    model: str
    version: int
    exception: str
    reason: str


class WebhookAdded(RegistryPayload):
    """Changes of gates are told to an address from now on. `sealed`: the address, which only the deliverer can read.
    Empty `models` and `stages` mean all."""

    webhook: str
    name: str
    host: str
    sealed: str
    models: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


class WebhookRemoved(RegistryPayload):
    webhook: str
    reason: str = ""


class TagChanged(RegistryPayload):
    """A tag of a version, or of the model itself (`version` None), was set (`after`) or taken away (`after` None)."""

    model: str
    version: int | None = None
    key: str
    before: str | None
    after: str | None
    reason: str = ""


class DescriptionChanged(RegistryPayload):
    """A version, or the model itself (`version` None), is described anew; what was said before stays on record."""

    model: str
    version: int | None = None
    description: str


class StageMoved(RegistryPayload):
    """A version was moved to another of MLflow's stages, which tell nothing about what is deployed."""

    model: str
    version: int
    before: MlflowStage
    after: MlflowStage
    reason: str = ""


class VersionRetired(RegistryPayload):
    """A version is no longer to be used. It stays on record, and nothing goes to any stage with it."""

    model: str
    version: int
    reason: str


class ModelRetired(RegistryPayload):
    """A model is no longer to be used; its versions were retired with it. It may be registered again."""

    model: str
    reason: str


class LineageReported(RegistryPayload):
    """An OpenLineage event as it came (`body`), with what it is about.

    `digest`: SHA-256 (hex) of its canonical bytes, by which a repeated one is known. `namespace`, `name`: of the job,
    or of the data set where `kind` is dataset. `run`: the run's id, `state` its eventType (START, COMPLETE, …).
    Source: OpenLineage 2-0-2 (RunEvent, JobEvent, DatasetEvent).
    """

    kind: Literal["run", "job", "dataset"]
    digest: str
    namespace: str
    name: str
    run: str | None = None
    state: str | None = None
    body: dict[str, Any]


class Informing(Part):
    """A model that informs a decision, and `how`: what of its answer is used for what."""

    model: str
    how: str = ""


class DecisionModelled(RegistryPayload):
    """A business decision as a decision model (OMG DMN 1.5): what is asked, by whom, and what it rests on.

    `models`: the models that inform it; `requires`: other decisions; `authorities`: policies, laws, people it follows.
    `dmn`: the XML of the decision model where there is one, `dmn_sha256` (hex) of it.
    """

    decision: str
    version: int
    question: str
    owner: str
    answers: tuple[str, ...] = ()
    goal: str | None = None
    kpis: tuple[str, ...] = ()
    models: tuple[Informing, ...] = ()
    requires: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    description: str = ""
    dmn: str = ""
    dmn_sha256: str = ""
