"""Models: versions, evidence, approvals, gates and aliases, all on the stream `model/{name}`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.registry.domain import aliases, exempting, marks, merging, retiring
from services.registry.domain.aliases import MoveAlias
from services.registry.domain.exempting import Ease
from services.registry.domain.frozen import already_registered, differences, register_once
from services.registry.domain.gate import Policies, gate_changes
from services.registry.domain.marks import ChangeTags, Describe, MoveStage
from services.registry.domain.merging import MergeBranch
from services.registry.domain.model_state import ModelState, after, evolve, initial, version_of
from services.registry.domain.names import check_name
from services.registry.domain.retiring import PIECE, Retire, RetireModel, RetireVersion, RetireWithModel
from services.registry.domain.versions import complete
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import (
    ApprovalGranted,
    ApprovalRejected,
    EvidenceRecorded,
    ModelRegistered,
    ModelVersionRegistered,
    PolicyAdopted,
    Stage,
)

__all__ = [
    "ChangeTags",
    "Describe",
    "Ease",
    "MergeBranch",
    "MoveAlias",
    "MoveStage",
    "RecordEvidence",
    "RegisterModel",
    "RegisterVersion",
    "RetireModel",
    "RetireVersion",
    "RetireWithModel",
    "ReviewGate",
    "Speak",
    "decide",
    "evolve",
    "initial",
    "version_of",
]


@dataclass(frozen=True, slots=True)
class RegisterModel:
    """`tags`: set with it. `event_id` and `policies`: by which gates change where a model says its goal later."""

    model: ModelRegistered
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    event_id: str = ""
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """`given.version` and `given.parents` are not looked at. `parents` None: the newest version of the branch.

    `author` and `event_id`: who states it, and in which event; the gates that follow name them. `tags`: set with it.
    `undigested`: the artifact may come without its digest (MLflow knows none).
    """

    given: ModelVersionRegistered
    parents: tuple[int, ...] | None
    reference_values: int
    author: str
    event_id: str
    policies: Policies
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    undigested: bool = False


@dataclass(frozen=True, slots=True)
class RecordEvidence:
    """`at`: when it happened, from which its age counts."""

    evidence: EvidenceRecorded
    actor: str
    policies: Policies
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Speak:
    """Approve or reject, at `at`."""

    word: ApprovalGranted | ApprovalRejected
    actor: str
    policies: Policies
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReviewGate:
    """The policies, flags or the time may have changed: look at these versions again (None: at every one)."""

    policies: Policies
    versions: tuple[int, ...] | None = None


Mark = ChangeTags | Describe | MoveStage
Command = (
    RegisterModel
    | RegisterVersion
    | MergeBranch
    | RecordEvidence
    | Speak
    | MoveAlias
    | ReviewGate
    | Mark
    | Ease
    | Retire
)


def decide(state: ModelState, command: Command) -> Sequence[Payload]:
    """The facts that follow, and with them every change of a gate. Raises Refused with the reason."""
    if isinstance(command, RegisterModel):
        return _register(state, command)
    if state.registered is None:
        if isinstance(command, ReviewGate):
            return []  # whoever flags may name a model that was never registered
        raise Refused("unknown-model", "There is no such model.", status=404)
    match command:
        case RegisterVersion():
            return _version(state, command)
        case MergeBranch():
            merged = merging.merged(state, command)
            return _with_gates(state, merged, command.author, command.event_id, command.policies)
        case RecordEvidence(evidence, actor, policies, at):
            version_of(state, evidence.version)
            return _with_gates(state, evidence, actor, evidence.evidence, policies, at)
        case Speak(word, actor, policies, at):
            version_of(state, word.version)
            return _with_gates(state, word, actor, word.approval, policies, at)
        case Ease():
            return exempting.decide(state, command)
        case MoveAlias():
            return aliases.decide(state, state.registered.model, command)
        case ReviewGate(policies, numbers):
            looked = sorted(state.versions) if numbers is None else [one for one in numbers if one in state.versions]
            return [change for number in looked for change in gate_changes(policies, state, number)]
        case RetireVersion() | RetireModel() | RetireWithModel():
            return retiring.decide(state, state.registered.model, command)
        case _:
            return marks.decide(state, state.registered.model, command)


def _register(state: ModelState, command: RegisterModel) -> list[Payload]:
    """A model that was retired may be registered again; its versions go on counting where they stood."""
    name = command.model.model
    check_name("model", name)
    again = state.retired is not None
    if not again and state.registered is not None and state.registered.goal is None and command.model.goal is not None:
        return _goal(state, state.registered, command)
    stated = register_once(None if again else state.registered, command.model, "model", name)
    if not stated:
        return []
    fresh = after(state, command.model, command.model.owner, "")
    return [*stated, *marks.tagged(fresh, name, None, command.tags)]


def _goal(state: ModelState, registered: ModelRegistered, command: RegisterModel) -> list[Payload]:
    """A model that served no goal (MLflow knows none) may say which, once, and its gates follow. What is left out
    stays; anything else said otherwise is refused. Of many versions, the gates of the newest change with it, and
    those of the others when they are looked at again."""
    given = command.model
    fact = registered.model_copy(update={"goal": given.goal, "description": state.marks.description})
    said = given.model_dump(exclude_defaults=True)
    if changed := {name: both for name, both in differences(fact, given).items() if name in said}:
        already_registered("model", given.model, changed)
    then = after(state, fact, registered.owner, command.event_id)
    return [
        fact.model_copy(update={"since": state.marks.created}),
        *(
            change
            for number in sorted(then.versions)[-PIECE:]
            for change in gate_changes(command.policies, then, number)
        ),
    ]


def _version(state: ModelState, command: RegisterVersion) -> list[Payload]:
    given = command.given
    version = complete(state, given, command.parents, command.reference_values, command.undigested)
    stated = _with_gates(state, version, command.author, command.event_id, command.policies)
    if not command.tags:
        return stated
    then = after(state, version, command.author, command.event_id)
    return [*stated, *marks.tagged(then, version.model, version.version, command.tags)]


def _with_gates(
    state: ModelState,
    fact: ModelVersionRegistered | EvidenceRecorded | ApprovalGranted | ApprovalRejected,
    actor: str,
    event_id: str,
    policies: Policies,
    at: datetime | None = None,
) -> list[Payload]:
    return [fact, *gate_changes(policies, after(state, fact, actor, event_id, at), fact.version)]
