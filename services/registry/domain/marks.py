"""What may be said anew about a model or a version without changing it: tags, descriptions and MLflow's stages.

Nothing is overwritten: each change is an event of its own, with what was there before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.registry.domain.aliases import need_open_gate, need_unretired
from services.registry.domain.gate import Policies
from services.registry.domain.model_state import ModelState, version_of
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import DescriptionChanged, MlflowStage, PolicyAdopted, Stage, StageMoved, TagChanged

MAX_KEY = 250
MAX_VALUE = 100_000
MAX_TAGS = 1_000
GATES: Mapping[MlflowStage, Stage] = {"Staging": "staging", "Production": "production"}
"""MLflow's stages that a gate guards."""


@dataclass(frozen=True, slots=True)
class ChangeTags:
    """Set tags of a version, or of the model (`version` None); a value of None takes the tag away."""

    version: int | None
    tags: Mapping[str, str | None]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Describe:
    version: int | None
    description: str


@dataclass(frozen=True, slots=True)
class MoveStage:
    """Move a version to a stage of MLflow's. `archive`: what else stands there goes to Archived."""

    version: int
    stage: MlflowStage
    archive: bool
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])
    reason: str = ""


def decide(state: ModelState, model: str, command: ChangeTags | Describe | MoveStage) -> Sequence[Payload]:
    """Raises Refused: unknown version, bad tag, 409 `gate-closed`, 409 `retired`."""
    match command:
        case ChangeTags(version, tags, reason):
            return tagged(state, model, version, tags, reason)
        case Describe(version, description):
            marks = state.marks if version is None else version_of(state, version).marks
            if marks.description == description:
                return []
            return [DescriptionChanged(model=model, version=version, description=description)]
        case MoveStage():
            return _to_stage(state, model, command)


def tagged(
    state: ModelState, model: str, version: int | None, tags: Mapping[str, str | None], reason: str = ""
) -> list[Payload]:
    """A TagChanged for each tag that is not so already. Raises Refused 422 `bad-tag`."""
    before = (state.marks if version is None else version_of(state, version).marks).tags
    changed = {key: value for key, value in tags.items() if before.get(key) != value}
    for key, value in changed.items():
        _check(key, value)
    if len(before.keys() | {key for key, value in changed.items() if value is not None}) > MAX_TAGS:
        raise _bad(f"There would be more than {MAX_TAGS} tags.")
    return [
        TagChanged(model=model, version=version, key=key, before=before.get(key), after=value, reason=reason)
        for key, value in changed.items()
    ]


def _check(key: str, value: str | None) -> None:
    if not 0 < len(key) <= MAX_KEY:
        raise _bad(f"A tag's name has 1 to {MAX_KEY} characters; '{key[:40]}' has {len(key)}.")
    if value is not None and len(value) > MAX_VALUE:
        raise _bad(f"The value of tag '{key}' has {len(value)} characters, more than {MAX_VALUE}.")


def _to_stage(state: ModelState, model: str, command: MoveStage) -> Sequence[Payload]:
    version = version_of(state, command.version)
    need_unretired(model, command.version, version)
    gate = GATES.get(command.stage)
    if gate is not None and version.stage != command.stage:
        need_open_gate(state, version, gate, command.policies, f"The stage {command.stage}")
    moves: list[tuple[int, MlflowStage, MlflowStage]] = []
    if version.stage != command.stage:
        moves.append((command.version, version.stage, command.stage))
    if command.archive:
        for number in state.all_in(command.stage):
            if number != command.version:
                moves.append((number, command.stage, "Archived"))
    return [
        StageMoved(model=model, version=number, before=before, after=after, reason=command.reason)
        for number, before, after in moves
    ]


def _bad(detail: str) -> Refused:
    return Refused("bad-tag", detail, status=422)
