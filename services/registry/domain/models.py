"""Models: versions, evidence, approvals, gates and aliases, all on the stream `model/{name}`."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.registry.domain.frozen import register_once
from services.registry.domain.gate import Policies, gate_changes
from services.registry.domain.model_state import ModelState, VersionState, after, evolve, initial
from services.registry.domain.names import check_name
from services.registry.domain.versions import complete
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import (
    AliasMoved,
    ApprovalGranted,
    ApprovalRejected,
    EvidenceRecorded,
    ModelRegistered,
    ModelVersionRegistered,
)

__all__ = [
    "MoveAlias",
    "RecordEvidence",
    "RegisterModel",
    "RegisterVersion",
    "ReviewGate",
    "Speak",
    "decide",
    "evolve",
    "initial",
    "version_of",
]


@dataclass(frozen=True, slots=True)
class RegisterModel:
    model: ModelRegistered


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """`given.version` and `given.parents` are not looked at. `parents` None: the newest version of the branch.

    `author` and `event_id`: who states it, and in which event; the gates that follow name them.
    """

    given: ModelVersionRegistered
    parents: tuple[int, ...] | None
    reference_values: int
    author: str
    event_id: str
    policies: Policies


@dataclass(frozen=True, slots=True)
class RecordEvidence:
    evidence: EvidenceRecorded
    actor: str
    policies: Policies


@dataclass(frozen=True, slots=True)
class Speak:
    """Approve or reject."""

    word: ApprovalGranted | ApprovalRejected
    actor: str
    policies: Policies


@dataclass(frozen=True, slots=True)
class MoveAlias:
    """Point an alias at a version; None takes it away."""

    alias: str
    version: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReviewGate:
    """The policies may have changed: look at every version again."""

    policies: Policies


Command = RegisterModel | RegisterVersion | RecordEvidence | Speak | MoveAlias | ReviewGate


def decide(state: ModelState, command: Command) -> Sequence[Payload]:
    """The facts that follow, and with them every change of a gate. Raises Refused with the reason."""
    if isinstance(command, RegisterModel):
        check_name("model", command.model.model)
        return register_once(state.registered, command.model, "model", command.model.model)
    if state.registered is None:
        raise Refused("unknown-model", "There is no such model.", status=404)
    match command:
        case RegisterVersion():
            version = complete(state, command.given, command.parents, command.reference_values)
            return _with_gates(state, version, command.author, command.event_id, command.policies)
        case RecordEvidence(evidence, actor, policies):
            version_of(state, evidence.version)
            return _with_gates(state, evidence, actor, evidence.evidence, policies)
        case Speak(word, actor, policies):
            version_of(state, word.version)
            return _with_gates(state, word, actor, word.approval, policies)
        case MoveAlias():
            return _move(state, state.registered.model, command)
        case ReviewGate(policies):
            return [change for number in state.versions for change in gate_changes(policies, state, number)]


def version_of(state: ModelState, number: int) -> VersionState:
    """One version. Raises Refused 404 `unknown-version` with those that exist nearby."""
    if number in state.versions:
        return state.versions[number]
    model = state.registered.model if state.registered else "?"
    nearby = sorted(sorted(state.versions, key=lambda one: (abs(one - number), one))[:5])
    told = f"there is {', '.join(map(str, nearby))}" if nearby else "it has none yet"
    raise Refused("unknown-version", f"Model '{model}' has no version {number}; {told}.", status=404, nearby=nearby)


def _with_gates(
    state: ModelState,
    fact: ModelVersionRegistered | EvidenceRecorded | ApprovalGranted | ApprovalRejected,
    actor: str,
    event_id: str,
    policies: Policies,
) -> list[Payload]:
    return [fact, *gate_changes(policies, after(state, fact, actor, event_id), fact.version)]


def _move(state: ModelState, model: str, command: MoveAlias) -> list[Payload]:
    check_name("alias", command.alias)
    if command.alias.isdigit():
        raise Refused("bad-name", f"The alias '{command.alias}' would be taken for a version's number.", status=422)
    if command.version is not None:
        version_of(state, command.version)
    before = state.aliases.get(command.alias)
    if before == command.version:
        return []
    moved = AliasMoved(model=model, alias=command.alias, before=before, after=command.version, reason=command.reason)
    return [moved]
