"""Aliases: names that point at one version of a model. Every move is kept: who, when, why."""

from dataclasses import dataclass, field

from services.registry.domain.gate import Policies, evaluate, seen_by
from services.registry.domain.model_state import ModelState, VersionState, version_of
from services.registry.domain.names import check_alias
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import AliasMoved, PolicyAdopted, Stage


@dataclass(frozen=True, slots=True)
class MoveAlias:
    """Point an alias at a version; None takes it away. `gate`: of which stage the version's gate has to be open."""

    alias: str
    version: int | None
    reason: str = ""
    gate: Stage | None = None
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])


def decide(state: ModelState, model: str, command: MoveAlias) -> list[Payload]:
    """Raises Refused: bad name, unknown version, 409 `retired`, 409 `gate-closed` with the rules that fail."""
    check_alias(command.alias)
    before = state.aliases.get(command.alias)
    if command.version is not None:
        version = version_of(state, command.version)
        need_unretired(model, command.version, version)
        if command.gate is not None and before != command.version:
            need_open_gate(state, version, command.gate, command.policies, f"'{command.alias}'")
    if before == command.version:
        return []
    return [AliasMoved(model=model, alias=command.alias, before=before, after=command.version, reason=command.reason)]


def need_unretired(model: str, number: int, version: VersionState) -> None:
    """Raises Refused 409 `retired`."""
    if version.retired is not None:
        raise Refused("retired", f"Version {number} of '{model}' was retired: {version.retired}. Take another one.")


def need_open_gate(state: ModelState, version: VersionState, stage: Stage, policies: Policies, what: str) -> None:
    """Raises Refused 409 `gate-closed` with every rule that fails, where the version may not go to the stage."""
    gate = evaluate(policies[stage], state, version, seen_by(policies))
    if gate.allowed:
        return
    failed = [rule for rule in gate.rules if not rule.passed]
    number, model = version.registered.version, version.registered.model
    reasons = " ".join(f"{rule.rule}: {rule.reason}" for rule in failed)
    detail = f"{what} needs an open gate for {stage}, and that of version {number} of '{model}' is closed. {reasons}"
    raise Refused("gate-closed", detail, rules=[rule.model_dump(mode="json") for rule in gate.rules])
