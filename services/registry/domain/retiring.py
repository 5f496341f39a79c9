"""Retiring instead of deleting: what is registered stays on record, with the reason why nobody should use it again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.registry.domain.gate import Policies, gate_changes
from services.registry.domain.model_state import ModelState, after, version_of
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import AliasMoved, ModelRetired, PolicyAdopted, Stage, VersionRetired

PIECE = 100
"""Versions of a model that one unit of work judges, or states the retirement of."""


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


@dataclass(frozen=True, slots=True)
class RetireWithModel:
    """State of these versions, too, that they were retired with their model."""

    versions: Sequence[int]
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])


Retire = RetireVersion | RetireModel | RetireWithModel


def decide(state: ModelState, model: str, command: Retire) -> list[Payload]:
    """The retirement, the aliases that no longer point anywhere, and the gates that close; nothing where it was retired
    already. Of a model with many versions, PIECE are stated at once, those first that aliases point at, then the
    newest; the others are retired all the same, and stated by RetireWithModel. Raises Refused: unknown version, 422
    `no-reason`."""
    if isinstance(command, RetireWithModel):
        untold = [one for one in command.versions if one <= state.retired_to and one in state.versions]
        return _retired(state, model, untold, state.retired_for, command.policies)
    if not command.reason.strip():
        raise Refused("no-reason", "Say why: what is retired stays on record with its reason.", status=422)
    if isinstance(command, RetireVersion):
        stands = version_of(state, command.version).retired is None
        return _retired(state, model, [command.version] if stands else [], command.reason, command.policies)
    if state.retired is not None:
        return []
    facts = _retired(state, model, _first(state), command.reason, command.policies)
    moved = {fact.alias for fact in facts if isinstance(fact, AliasMoved)}
    left = [_gone(model, alias, to, command.reason) for alias, to in state.aliases.items() if alias not in moved]
    return [*facts, *left, ModelRetired(model=model, reason=command.reason)]


def _first(state: ModelState) -> list[int]:
    """The versions whose retirement is stated with that of the model."""
    standing = {number for stage in state.standing for number in state.all_in(stage)}
    pointed = standing & set(state.aliases.values())
    return sorted([*sorted(pointed, reverse=True), *sorted(standing - pointed, reverse=True)][:PIECE])


def _retired(state: ModelState, model: str, numbers: Sequence[int], reason: str, policies: Policies) -> list[Payload]:
    facts: list[Payload] = []
    for number in numbers:
        if state.versions[number].retired is not None:
            continue
        fact = VersionRetired(model=model, version=number, reason=reason)
        aliases = [alias for alias, points in state.aliases.items() if points == number]
        facts += [fact, *(_gone(model, alias, number, reason) for alias in aliases)]
        facts += gate_changes(policies, after(state, fact, "", ""), number)
    return facts


def _gone(model: str, alias: str, number: int, reason: str) -> AliasMoved:
    return AliasMoved(model=model, alias=alias, before=number, after=None, reason=f"version {number} retired: {reason}")
