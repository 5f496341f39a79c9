"""What decisions on one model need to know of its stream `model/{name}`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.registry.domain.numbered import Numbered
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import (
    AliasMoved,
    ApprovalGranted,
    ApprovalRejected,
    ConditionMet,
    DescriptionChanged,
    EvidenceKind,
    EvidenceRecorded,
    ExceptionGranted,
    ExceptionWithdrawn,
    GateChanged,
    MlflowStage,
    ModelRegistered,
    ModelRetired,
    ModelVersionRegistered,
    Rule,
    Stage,
    StageMoved,
    TagChanged,
    VersionRetired,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    id: str
    kind: EvidenceKind
    name: str
    passed: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A word spoken for (`granted`) or against a version. `expires`: from when on it counts no more."""

    id: str
    role: str
    actor: str
    granted: bool
    conditions: tuple[str, ...] = ()
    at: datetime | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exempted:
    """An exception from one rule of a stage's gate, granted by `actor` until `expires`."""

    id: str
    stage: Stage
    rule: str
    actor: str
    reason: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Gate:
    """`until`: when time alone may change it. `policy`: version of the policy that it was judged by, where stated."""

    allowed: bool
    rules: tuple[Rule, ...]
    until: datetime | None = None
    policy: int | None = None


@dataclass(frozen=True, slots=True)
class VersionState:
    """`registered` is without its reference, which no decision needs. Evidence and approvals in the order they came.

    `marks`: what may be said anew about it. `event_id`: of the event that registered it. `retired`: why, if it was.
    `met`: conditions of approvals that were met, as (approval, condition). `exceptions`: that nobody withdrew."""

    registered: ModelVersionRegistered
    author: str
    marks: "Marks"
    event_id: str = ""
    retired: str | None = None
    stage: MlflowStage = "None"
    evidence: tuple[Evidence, ...] = ()
    approvals: tuple[Approval, ...] = ()
    gates: Mapping[Stage, Gate] = field(default_factory=dict[Stage, Gate])
    met: frozenset[tuple[str, str]] = frozenset()
    exceptions: tuple[Exempted, ...] = ()


@dataclass(frozen=True, slots=True)
class Marks:
    """What may be said anew about a model or a version: description and tags; and when it began and last changed."""

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    created: datetime | None = None
    updated: datetime | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """`event_id`: of the event that registered the model. `versions`: in no order; one more shares all else with those
    before, so that ten thousand cost no more than ten. `heads`: the newest version of each branch, `last`: of all.
    `standing`: for each of MLflow's stages the versions in it that are not retired, as the set bits of a number, whose
    highest is the newest. `retired`: why, if it was. `retired_to`: versions up to this number were retired with the
    model, for the reason `retired_for`, though that of many is stated one after another; `version_of` tells it."""

    registered: ModelRegistered | None = None
    event_id: str = ""
    versions: Numbered[VersionState] = field(default_factory=Numbered[VersionState])
    aliases: Mapping[str, int] = field(default_factory=dict[str, int])
    heads: Mapping[str, int] = field(default_factory=dict[str, int])
    last: int = 0
    standing: Mapping[MlflowStage, int] = field(default_factory=dict[MlflowStage, int])
    marks: Marks = Marks()
    retired: str | None = None
    retired_to: int = 0
    retired_for: str = ""

    def newest(self, branch: str) -> int | None:
        """The newest version of a branch."""
        return self.heads.get(branch)

    def newest_in(self, stage: MlflowStage) -> int | None:
        """The newest version in one of MLflow's stages that is not retired."""
        return (self.standing.get(stage, 0).bit_length() or 1) - 1 or None

    def all_in(self, stage: MlflowStage) -> list[int]:
        """All versions in one of MLflow's stages that are not retired, the oldest first."""
        bits = self.standing.get(stage, 0)
        found: list[int] = []
        while bits:
            lowest = bits & -bits
            found.append(lowest.bit_length() - 1)
            bits ^= lowest
        return found


initial = ModelState()


def evolve(state: ModelState, event: Event) -> ModelState:
    return after(state, event.data, event.actor, event.id, event.time)


def version_of(state: ModelState, number: int) -> VersionState:
    """One version. Raises Refused 404 `unknown-version` with those that exist nearby."""
    if number in state.versions:
        version = state.versions[number]
        if number <= state.retired_to and version.retired is None:
            return replace(version, retired=state.retired_for)
        return version
    model = state.registered.model if state.registered else "?"
    nearby = sorted(sorted(state.versions, key=lambda one: (abs(one - number), one))[:5])
    told = f"there is {', '.join(map(str, nearby))}" if nearby else "it has none yet"
    raise Refused("unknown-version", f"Model '{model}' has no version {number}; {told}.", status=404, nearby=nearby)


def after(state: ModelState, fact: Payload, actor: str, event_id: str, at: datetime | None = None) -> ModelState:
    """The state once `actor` has stated `fact` in the event `event_id`, at `at` (None: not known yet)."""
    match fact:
        case ModelRegistered() if state.registered is not None and state.retired is None:
            return replace(state, registered=fact.model_copy(update={"since": None}), event_id=event_id)
        case ModelRegistered():
            marks = Marks(fact.description, created=at, updated=at)
            return replace(state, registered=fact, event_id=event_id, marks=marks, retired=None)
        case ModelRetired(reason=reason):
            return replace(state, retired=reason, aliases={}, standing={}, retired_to=state.last, retired_for=reason)
        case ModelVersionRegistered():
            lean = fact.model_copy(update={"reference": {}})
            version = VersionState(lean, actor, Marks(fact.description, created=at, updated=at), event_id)
            return replace(
                state,
                versions=state.versions.set(fact.version, version),
                heads={**state.heads, fact.branch: fact.version},
                last=fact.version,
                standing=_stands(state, fact.version, None, version.stage),
                marks=replace(state.marks, updated=at),
            )
        case TagChanged(version=None) | DescriptionChanged(version=None):
            return replace(state, marks=_marked(state.marks, fact, at))
        case TagChanged(version=int(number)) | DescriptionChanged(version=int(number)):
            marked = state.versions[number]
            marked = replace(marked, marks=_marked(marked.marks, fact, at))
            return replace(state, versions=state.versions.set(number, marked))
        case StageMoved() | VersionRetired():
            moved, before = _moved(state, fact, at), state.versions[fact.version]
            return replace(
                state,
                versions=state.versions.set(fact.version, moved),
                standing=_stands(state, fact.version, before.stage, None if moved.retired is not None else moved.stage),
            )
        case AliasMoved(alias=alias, after=None):
            return replace(state, aliases={name: to for name, to in state.aliases.items() if name != alias})
        case AliasMoved(alias=alias, after=int(version)):
            return replace(state, aliases={**state.aliases, alias: version})
        case EvidenceRecorded() | ApprovalGranted() | ApprovalRejected() | GateChanged():
            changed = _of_version(state.versions[fact.version], fact, actor, at)
            return replace(state, versions=state.versions.set(fact.version, changed))
        case ConditionMet() | ExceptionGranted() | ExceptionWithdrawn():
            changed = _eased(state.versions[fact.version], fact, actor)
            return replace(state, versions=state.versions.set(fact.version, changed))
        case _:
            return state


def _marked(marks: Marks, fact: TagChanged | DescriptionChanged, at: datetime | None) -> Marks:
    """Tags alone leave the time of the last change as it was, as MLflow does."""
    if isinstance(fact, DescriptionChanged):
        return replace(marks, description=fact.description, updated=at)
    others = {key: value for key, value in marks.tags.items() if key != fact.key}
    return replace(marks, tags=others if fact.after is None else {**others, fact.key: fact.after})


def _moved(state: ModelState, fact: StageMoved | VersionRetired, at: datetime | None) -> VersionState:
    version = state.versions[fact.version]
    marks = replace(version.marks, updated=at)
    if isinstance(fact, StageMoved):
        return replace(version, stage=fact.after, marks=marks)
    return replace(version, retired=fact.reason, marks=marks)


def _stands(
    state: ModelState, number: int, before: MlflowStage | None, now: MlflowStage | None
) -> Mapping[MlflowStage, int]:
    """What stands in which stage once a version went from one to another."""
    standing = dict(state.standing)
    if before is not None:
        standing[before] = standing.get(before, 0) & ~(1 << number)
    if now is not None:
        standing[now] = standing.get(now, 0) | 1 << number
    return standing


def _of_version(
    version: VersionState,
    fact: EvidenceRecorded | ApprovalGranted | ApprovalRejected | GateChanged,
    actor: str,
    at: datetime | None,
) -> VersionState:
    match fact:
        case EvidenceRecorded():
            evidence = Evidence(fact.evidence, fact.kind, fact.name, fact.passed, at)
            return replace(version, evidence=(*version.evidence, evidence))
        case ApprovalGranted():
            granted = Approval(fact.approval, fact.role, actor, True, fact.conditions, at, fact.expires)
            return replace(version, approvals=(*version.approvals, granted))
        case ApprovalRejected():
            return replace(version, approvals=(*version.approvals, Approval(fact.approval, fact.role, actor, False)))
        case GateChanged():
            gate = Gate(fact.allowed, fact.rules, fact.until, fact.policy_version)
            return replace(version, gates={**version.gates, fact.stage: gate})


def _eased(
    version: VersionState, fact: ConditionMet | ExceptionGranted | ExceptionWithdrawn, actor: str
) -> VersionState:
    match fact:
        case ConditionMet():
            return replace(version, met=version.met | {(fact.approval, fact.condition)})
        case ExceptionGranted():
            granted = Exempted(fact.exception, fact.stage, fact.rule, actor, fact.reason, fact.expires)
            return replace(version, exceptions=(*version.exceptions, granted))
        case ExceptionWithdrawn():
            kept = tuple(one for one in version.exceptions if one.id != fact.exception)
            return replace(version, exceptions=kept)
