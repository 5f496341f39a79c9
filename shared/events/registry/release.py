"""Facts about what opens and closes a gate."""

from datetime import datetime

from shared.events.registry.parts import EvidenceKind, RegistryPayload, Rule, Stage


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
