"""Retiring instead of deleting: what is registered stays on record, with the reason why nobody should use it again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.registry.domain.gate import Policies, gate_changes
from services.registry.domain.model_state import ModelState, after, version_of
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import AliasMoved, ModelRetired, PolicyAdopted, Stage, VersionRetired


@dataclass(frozen=True, slots=True)
class RetireVersion:
    version: int
    reason: str
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])


@dataclass(frozen=True, slots=True)
class RetireModel:
    """The model, and every version of it."""

    reason: str
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])


def decide(state: ModelState, model: str, command: RetireVersion | RetireModel) -> list[Payload]:
    """The retirement, the aliases that no longer point anywhere, and the gates that close; nothing where it was retired
    already. Raises Refused: unknown version, 422 `no-reason`."""
    if not command.reason.strip():
        raise Refused("no-reason", "Say why: what is retired stays on record with its reason.", status=422)
    if isinstance(command, RetireVersion):
        version_of(state, command.version)
        return _retired(state, model, [command.version], command)
    if state.retired is not None:
        return []
    return [*_retired(state, model, sorted(state.versions), command), ModelRetired(model=model, reason=command.reason)]


def _retired(
    state: ModelState, model: str, numbers: Sequence[int], command: RetireVersion | RetireModel
) -> list[Payload]:
    facts: list[Payload] = []
    for number in numbers:
        if state.versions[number].retired is not None:
            continue
        fact = VersionRetired(model=model, version=number, reason=command.reason)
        aliases = [alias for alias, points in state.aliases.items() if points == number]
        facts += [fact, *(_gone(model, alias, number, command.reason) for alias in aliases)]
        facts += gate_changes(command.policies, after(state, fact, "", ""), number)
    return facts


def _gone(model: str, alias: str, number: int, reason: str) -> AliasMoved:
    return AliasMoved(model=model, alias=alias, before=number, after=None, reason=f"version {number} retired: {reason}")
