"""Words and values that several facts of the registry hold."""

from functools import cached_property
from typing import ClassVar, Literal

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

    @cached_property
    def personal(self) -> tuple[str, ...]:
        """The inputs that reach the log encrypted: those marked, and the one that names the subject."""
        return tuple(one.name for one in self.inputs if one.personal or one.name == self.subject)

    @cached_property
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
