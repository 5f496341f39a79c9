"""What can be asked of a deployment. What the registry knows comes along as facts, since only views have it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.events.deployer import Fallback, LossReason, Reaction, Resources, Runtime, Traffic, Trigger
from shared.events.registry import Artifact, Field, Rule, Signature


@dataclass(frozen=True, slots=True)
class GateFacts:
    """How the registry's gate of one version stands for the deployment's stage."""

    allowed: bool
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A registered version. `gate`: None where the environment has no gate or nothing was heard of it yet."""

    version: int
    artifact: Artifact
    signature: Signature
    gate: GateFacts | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model: every version's number, and more of those that the command names."""

    known: tuple[int, ...] = ()
    versions: Mapping[int, VersionFacts] = field(default_factory=dict[int, VersionFacts])


@dataclass(frozen=True, slots=True)
class Deploy:
    deployment: str
    model: str
    version: int
    environment: str
    runtime: Runtime
    resources: Resources
    facts: Facts


@dataclass(frozen=True, slots=True)
class SetTraffic:
    traffic: Traffic
    facts: Facts
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Promote:
    """`version`: None means the only challenger that has a share."""

    version: int | None
    facts: Facts
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RollBack:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retire:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StartCanary:
    """Give `version` ever more traffic: each of `steps` (percent) for `step_seconds`; promote it then, if `promote`.
    `guardrails`: what is stated of it that holds it."""

    version: int
    steps: tuple[float, ...]
    step_seconds: float
    promote: bool
    guardrails: tuple[Trigger, ...]
    facts: Facts
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StepCanary:
    """It is `at`: take the step that is due, if one is."""

    at: datetime
    facts: Facts


@dataclass(frozen=True, slots=True)
class HoldCanary:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResumeCanary:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetReactions:
    rules: tuple[Reaction, ...]
    cool_down_seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class React:
    """Another service stated something of `version`: `on` which `name`, in `words`. `told`: when the log took it."""

    on: Trigger
    version: int
    name: str
    told: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """Somebody else (a tool of continuous delivery) deployed this; where there was nothing yet, it is a deployment."""

    deploy: Deploy
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetFallback:
    """`outputs`: those of the champion's signature, which a constant's must fit; none: it does not say."""

    fallback: Fallback
    reason: str = ""
    outputs: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class StateLoss:
    """A process that is no more had answered `rows` by `version` that the log has not."""

    version: int
    rows: int
    process: str
    reason: LossReason = "ended"


Command = (
    Deploy
    | SetTraffic
    | Promote
    | RollBack
    | Retire
    | StartCanary
    | StepCanary
    | HoldCanary
    | ResumeCanary
    | SetReactions
    | React
    | Report
    | SetFallback
    | StateLoss
)
