"""What decisions on one model need to know of its stream `model/{name}`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.events.envelope import Event, Payload
from shared.events.registry import (
    AliasMoved,
    ApprovalGranted,
    ApprovalRejected,
    EvidenceKind,
    EvidenceRecorded,
    GateChanged,
    ModelRegistered,
    ModelVersionRegistered,
    Rule,
    Stage,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    id: str
    kind: EvidenceKind
    name: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """A word spoken for (`granted`) or against a version."""

    id: str
    role: str
    actor: str
    granted: bool


@dataclass(frozen=True, slots=True)
class Gate:
    allowed: bool
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class VersionState:
    """`registered` is without its reference, which no decision needs. Evidence and approvals in the order they came."""

    registered: ModelVersionRegistered
    author: str
    evidence: tuple[Evidence, ...] = ()
    approvals: tuple[Approval, ...] = ()
    gates: Mapping[Stage, Gate] = field(default_factory=dict[Stage, Gate])


@dataclass(frozen=True, slots=True)
class ModelState:
    """`event_id`: of the event that registered the model."""

    registered: ModelRegistered | None = None
    event_id: str = ""
    versions: Mapping[int, VersionState] = field(default_factory=dict[int, VersionState])
    aliases: Mapping[str, int] = field(default_factory=dict[str, int])

    def newest(self, branch: str) -> int | None:
        """The newest version of a branch."""
        return max((n for n, version in self.versions.items() if version.registered.branch == branch), default=None)


initial = ModelState()


def evolve(state: ModelState, event: Event) -> ModelState:
    return after(state, event.data, event.actor, event.id)


def after(state: ModelState, fact: Payload, actor: str, event_id: str) -> ModelState:
    """The state once `actor` has stated `fact` in the event `event_id`."""
    match fact:
        case ModelRegistered():
            return replace(state, registered=fact, event_id=event_id)
        case ModelVersionRegistered():
            lean = fact.model_copy(update={"reference": {}})
            return replace(state, versions={**state.versions, fact.version: VersionState(lean, actor)})
        case AliasMoved(alias=alias, after=None):
            return replace(state, aliases={name: to for name, to in state.aliases.items() if name != alias})
        case AliasMoved(alias=alias, after=int(version)):
            return replace(state, aliases={**state.aliases, alias: version})
        case EvidenceRecorded() | ApprovalGranted() | ApprovalRejected() | GateChanged():
            changed = _of_version(state.versions[fact.version], fact, actor)
            return replace(state, versions={**state.versions, fact.version: changed})
        case _:
            return state


def _of_version(
    version: VersionState, fact: EvidenceRecorded | ApprovalGranted | ApprovalRejected | GateChanged, actor: str
) -> VersionState:
    match fact:
        case EvidenceRecorded():
            evidence = Evidence(fact.evidence, fact.kind, fact.name, fact.passed)
            return replace(version, evidence=(*version.evidence, evidence))
        case ApprovalGranted() | ApprovalRejected():
            approval = Approval(fact.approval, fact.role, actor, isinstance(fact, ApprovalGranted))
            return replace(version, approvals=(*version.approvals, approval))
        case GateChanged():
            return replace(version, gates={**version.gates, fact.stage: Gate(fact.allowed, fact.rules)})
