"""What can be asked of a deployment. What the registry knows comes along as facts, since only views have it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.events.deployer import Resources, Runtime, Traffic
from shared.events.registry import Artifact, Rule, Signature


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


Command = Deploy | SetTraffic | Promote | RollBack | Retire
