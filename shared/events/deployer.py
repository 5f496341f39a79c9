"""Facts that only `deployer` may state: what runs where, with which share of the traffic, by whose word."""

from datetime import datetime
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


Trigger = Literal["drift", "flags", "kpi", "guardrail"]
"""What others state of a deployed version: `DriftDetected`, `FlagThresholdBreached`, `KpiBreached`,
`GuardrailBreached`."""


class Reaction(Part):
    """What follows from a trigger. `names`: features, kinds of limit, KPIs or guardrails that count; empty: all."""

    on: Trigger
    do: Literal["warn", "hold", "roll_back"]
    names: tuple[str, ...] = ()


class Fallback(Part):
    """Who answers where a version fails: `none`, the `champion` for a challenger, and beyond it, with `constant`, these
    `outputs` for every row."""

    kind: Literal["none", "champion", "constant"] = "champion"
    outputs: dict[str, float | int | bool | str] = {}


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


class CanaryStarted(DeployerPayload):
    """A version is to get ever more traffic: each of `steps` (percent) for `step_seconds`, while none of `guardrails`
    is stated of it; at the end it becomes champion, if `promote`."""

    deployment: str
    model: str
    version: int
    steps: tuple[float, ...]
    step_seconds: float
    promote: bool = False
    guardrails: tuple[Trigger, ...] = ()
    reason: str = ""


class CanaryHeld(DeployerPayload):
    """The canary keeps its share until somebody resumes it."""

    deployment: str
    model: str
    version: int
    reason: str = ""


class CanaryResumed(DeployerPayload):
    """The canary goes on with its step from the start."""

    deployment: str
    model: str
    version: int
    reason: str = ""


class CanaryEnded(DeployerPayload):
    """`completed`: all steps done; `rolled_back`; `stopped`: somebody else set its traffic."""

    deployment: str
    model: str
    version: int
    outcome: Literal["completed", "rolled_back", "stopped"]
    reason: str = ""


class ReactionsSet(DeployerPayload):
    """What follows from now on when others state harm of a deployed version. Within `cool_down_seconds` after a
    reaction only a harder one follows."""

    deployment: str
    model: str
    rules: tuple[Reaction, ...]
    cool_down_seconds: float
    reason: str = ""


class Reacted(DeployerPayload):
    """Something stated of `version` had an effect; `causationid` names the fact. `wanted`: what the policy says; `did`
    is less where there was no canary to hold, or nothing to roll back to. `told`: when the log took that fact."""

    deployment: str
    model: str
    version: int
    on: Trigger
    wanted: Literal["warn", "hold", "roll_back"]
    did: Literal["warned", "held", "rolled_back"]
    told: datetime
    reason: str = ""


class FallbackSet(DeployerPayload):
    deployment: str
    model: str
    fallback: Fallback
    reason: str = ""


class ResourcesDeclared(DeployerPayload):
    """What the deployment is given from now on, for all its replicas alike."""

    deployment: str
    model: str
    resources: Resources
    reason: str = ""


LossReason = Literal["ended", "refused"]


class PredictionsLost(DeployerPayload):
    """So many `rows` that `version` answered are not on record. `process`: the id of that process's count of its
    answers. `reason`: `ended`, it was killed or had to stop before the log had them; `refused`, the log takes no such
    record."""

    deployment: str
    model: str
    version: int
    rows: int
    process: str
    reason: LossReason = "ended"
