"""Merging one branch into another: a version with two parents, which states whose change won, item by item.

Three-way, as in Git: what one side changed since the nearest common ancestor wins; what both changed alike stays; what
both changed otherwise is a conflict, until whoever merges says which. Items are each parameter (`params.NAME`), each
data set (`training_data.NAME`), the `code`, and the `artifact` with all that was measured of it. An artifact that was
made with other parameters, data or code than the merged ones is a conflict too: give the one that was trained anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from services.registry.domain.aliases import need_unretired
from services.registry.domain.gate import Policies
from services.registry.domain.model_state import ModelState, version_of
from services.registry.domain.versions import Values, complete
from shared.events.refusal import Refused
from shared.events.registry import Code, DatasetRef, Merged, ModelVersionRegistered, PolicyAdopted, Side, Stage

ARTIFACT = ("artifact", "framework", "signature", "metrics", "pipeline_run", "task", "classes", "protected")
"""Fields that belong to the artifact; the reference and where it was read from go with them."""

_RECIPE = ("params.", "training_data.", "code")
_NOTHING: Any = object()

Items = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MergeBranch:
    """Merge version `theirs` into the branch `onto`, whose newest version was `ours` when the merger looked.

    `resolve`: item → `ours`, `theirs`, or `{"value": …}` (a parameter's). `given`: the artifact trained anew, with its
    fields; None takes one of the two. `references`: the reference's values of the two versions.
    """

    onto: str
    ours: int
    theirs: int
    resolve: Mapping[str, Any]
    given: ModelVersionRegistered | None
    references: Mapping[int, Mapping[str, Values]]
    reference_values: int
    description: str
    author: str
    event_id: str
    policies: Policies = field(default_factory=dict[Stage, PolicyAdopted])


def merged(state: ModelState, command: MergeBranch) -> ModelVersionRegistered:
    """The version that the merge makes. Raises Refused: unknown version or branch, 409 `branch-moved`,
    `already-merged`, `retired`, `merge-conflicts` with every conflict, 422 `bad-resolution`."""
    _need_head(state, command)
    ours, theirs = version_of(state, command.ours), version_of(state, command.theirs)
    need_unretired(ours.registered.model, command.theirs, theirs)
    mine = ancestors(state, command.ours)
    if command.theirs in mine:
        raise Refused("already-merged", f"Version {command.theirs} is in '{command.onto}' already; nothing to merge.")
    base = max(mine & ancestors(state, command.theirs), default=None)
    start = _items(state.versions[base].registered) if base is not None else {}
    sides = {"ours": _items(ours.registered), "theirs": _items(theirs.registered)}
    _check_resolutions(command, start.keys() | sides["ours"].keys() | sides["theirs"].keys())
    found, won, conflicts = _three_way(start, sides, command)
    if command.given is None:
        conflicts += _untrained(found, sides, command)
    if conflicts:
        raise Refused("merge-conflicts", _told(conflicts), base=base, conflicts=conflicts)
    stated = Merged(ours=command.ours, theirs=command.theirs, base=base, won=won)
    version = _version(state, command, found, stated)
    return complete(state, version, (command.ours, command.theirs), command.reference_values, undigested=True)


def ancestors(state: ModelState, number: int) -> set[int]:
    """The version and all that it comes from."""
    seen: set[int] = set()
    wanted = [number]
    while wanted:
        one = wanted.pop()
        if one not in seen:
            seen.add(one)
            wanted += version_of(state, one).registered.parents
    return seen


def older(state: ModelState, starts: Iterable[int], size: int, below: int | None = None) -> tuple[list[int], list[int]]:
    """Some versions and all that they come from, the newest first, at most `size` of those numbered under `below`; and
    where to start from for what follows. A parent's number is always lower than its child's, so that no more is walked
    than is asked for."""
    wanted = sorted({-number for number in starts})
    seen, shown = {-number for number in wanted}, list[int]()
    while wanted and len(shown) < size:
        one = -heappop(wanted)
        if below is None or one < below:
            shown.append(one)
        for parent in state.versions[one].registered.parents:
            if parent not in seen:
                seen.add(parent)
                heappush(wanted, -parent)
    return shown, sorted((-number for number in wanted), reverse=True)


def _need_head(state: ModelState, command: MergeBranch) -> None:
    head = state.newest(command.onto)
    if head is None:
        branches = sorted(state.heads)
        detail = f"There is no branch '{command.onto}'; there are {', '.join(branches) or 'none yet'}."
        raise Refused("unknown-branch", detail, status=404, nearby=branches[:5])
    if head != command.ours:
        author = state.versions[head].author
        detail = (
            f"'{command.onto}' moved from version {command.ours} to {head} (by {author}) meanwhile: look at the"
            f" difference and merge onto {head}."
        )
        raise Refused("branch-moved", detail, head=head, onto=command.ours)


def _items(version: ModelVersionRegistered) -> Items:
    said = version.model_dump(mode="json", include=set(ARTIFACT))
    items: Items = {f"params.{name}": value for name, value in version.params.items()}
    items |= {f"training_data.{ref.dataset}": ref.version for ref in version.training_data}
    items["code"] = version.code.model_dump(mode="json") if version.code else None
    items["artifact"] = said
    return items


def _three_way(
    base: Items, sides: Mapping[str, Items], command: MergeBranch
) -> tuple[Items, dict[str, Side], list[dict[str, Any]]]:
    """What everything becomes, who won where something changed, and the conflicts."""
    found: Items = {}
    won: dict[str, Side] = {}
    conflicts: list[dict[str, Any]] = []
    for item in dict.fromkeys([*sides["ours"], *sides["theirs"], *base]):
        before = base.get(item, _NOTHING)
        ours, theirs = (sides[side].get(item, _NOTHING) for side in ("ours", "theirs"))
        if item == "artifact" and command.given is not None:
            won[item] = "given"
            continue
        side, value = _winner(before, ours, theirs, command.resolve.get(item))
        if side is None and value is _NOTHING and not (ours is _NOTHING and theirs is _NOTHING):
            conflicts.append(_conflict(item, before, ours, theirs, "both sides changed it"))
        elif value is not _NOTHING:
            found[item] = value
        if side is not None:
            won[item] = side
    return found, won, conflicts


def _winner(before: Any, ours: Any, theirs: Any, resolution: Any) -> tuple[Side | None, Any]:
    """Whose state wins, and which it is; (None, nothing) for a conflict, (None, state) where nobody changed it."""
    if isinstance(resolution, Mapping):
        return "given", resolution["value"]  # type: ignore[index]
    if resolution is not None:
        return resolution, ours if resolution == "ours" else theirs
    if ours == theirs:
        return (None, ours) if ours == before else ("both", ours)
    if ours == before:
        return "theirs", theirs
    if theirs == before:
        return "ours", ours
    return None, _NOTHING


def _untrained(found: Items, sides: Mapping[str, Items], command: MergeBranch) -> list[dict[str, Any]]:
    """The artifact as a conflict where it was not made as the merged version says, and nobody said to take it so."""
    if "artifact" not in found or "artifact" in command.resolve:
        return []
    recipe = _recipe(found)
    if any(one["artifact"] == found["artifact"] and _recipe(one) == recipe for one in sides.values()):
        return []
    reason = "neither artifact was made with the merged parameters, data and code"
    return [_conflict("artifact", _NOTHING, sides["ours"]["artifact"], sides["theirs"]["artifact"], reason)]


def _recipe(items: Items) -> Items:
    """By what an artifact is made, without what is not said."""
    return {item: value for item, value in items.items() if item.startswith(_RECIPE) and value is not None}


def _told(conflicts: list[dict[str, Any]]) -> str:
    """The conflicts as a sentence, by their reasons."""
    items: dict[str, list[str]] = {}
    for one in conflicts:
        items.setdefault(one["reason"], []).append(one["item"])
    told = "; ".join(f"{', '.join(named)}: {reason}" for reason, named in items.items())
    return f"{told}. Say in 'resolve' which wins, or give as 'trained' an artifact that was trained anew."


def _conflict(item: str, before: Any, ours: Any, theirs: Any, reason: str) -> dict[str, Any]:
    states = {"base": before, "ours": ours, "theirs": theirs}
    told = {name: None if state is _NOTHING else state for name, state in states.items()}
    return {"item": item, "reason": reason} | told


def _check_resolutions(command: MergeBranch, items: set[str]) -> None:
    for item, resolution in command.resolve.items():
        if item not in items:
            detail = f"'resolve' names '{item}', which neither version has."
            raise Refused("bad-resolution", detail, status=422, nearby=sorted(items)[:20])
        if isinstance(resolution, Mapping) and not item.startswith("params."):
            raise Refused("bad-resolution", f"Only parameters take a value, and '{item}' is none.", status=422)


def _version(state: ModelState, command: MergeBranch, found: Items, stated: Merged) -> ModelVersionRegistered:
    recipe: Sequence[str] = sorted(found)
    side = command.theirs if stated.won.get("artifact") == "theirs" else command.ours
    made = command.given or state.versions[side].registered
    reference = made.reference if command.given else command.references.get(side, {})
    return made.model_copy(
        update={
            "branch": command.onto,
            "params": {one.removeprefix("params."): found[one] for one in recipe if one.startswith("params.")},
            "training_data": tuple(
                DatasetRef(dataset=one.removeprefix("training_data."), version=found[one])
                for one in recipe
                if one.startswith("training_data.")
            ),
            "code": Code.model_validate(found["code"]) if found.get("code") else None,
            "reference": {name: tuple(values) for name, values in reference.items()},
            "description": command.description,
            "merged": stated,
        }
    )
