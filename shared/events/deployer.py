"""Facts that only `deployer` may state: what runs where, with which share of the traffic, by whose word."""

from typing import ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.registry import Artifact, Part


class Runtime(Part):
    """What answers: an ONNX session in process, a remote Open Inference Protocol v2 server, or a system elsewhere."""

    kind: Literal["onnx", "v2", "external"]
    url: str | None = None


class Resources(Part):
    cpu: float | None = None
    memory_mib: float | None = None
    replicas: int = 1
    cost_per_hour: float | None = None


class Share(Part):
    version: int
    percent: float


class Traffic(Part):
    """Who answers. The champion gets what the challengers leave; shadows are asked and never answer."""

    champion: int
    challengers: tuple[Share, ...] = ()
    shadows: tuple[int, ...] = ()
    sticky_by: str | None = None


class DeployerPayload(Payload):
    OWNER: ClassVar[str] = "deployer"


class Deployed(DeployerPayload):
    deployment: str
    model: str
    version: int
    environment: str
    runtime: Runtime
    resources: Resources = Resources()
    artifact: Artifact
    traffic: Traffic


class TrafficChanged(DeployerPayload):
    deployment: str
    model: str
    before: Traffic
    after: Traffic
    reason: str = ""


class Promoted(DeployerPayload):
    """A challenger became champion."""

    deployment: str
    model: str
    before: Traffic
    after: Traffic
    reason: str = ""


class RolledBack(DeployerPayload):
    deployment: str
    model: str
    before: Traffic
    after: Traffic
    reason: str = ""


class Retired(DeployerPayload):
    deployment: str
    model: str
    before: Traffic
    reason: str = ""
