"""By what a version is judged once it is live: its kind of problem, its classes, and whom it must treat alike."""

from collections.abc import Sequence
from math import isfinite

from shared.events.refusal import Refused
from shared.events.registry import Protected, Signature, Task

MAX_EDGES = 20


def check_task(task: Task | None, classes: Sequence[str], signature: Signature) -> None:
    """Raises Refused 422 `bad-task`: classes without a multiclass task, or one that no output could hold."""
    if len(set(classes)) < len(classes) or len(classes) == 1:
        raise Refused("bad-task", "'classes' names a class twice, or only one; name each of them once.", status=422)
    if classes and task not in ("multiclass", None):
        raise Refused("bad-task", f"'classes' belongs to the task multiclass, not {task}.", status=422)
    if task == "multiclass" and not classes:
        raise Refused("bad-task", "The task multiclass needs 'classes', in the order of their codes.", status=422)
    kinds = {one.type for one in signature.outputs}
    needed = {"string", "long", "boolean"} if task == "multiclass" else {"double", "long", "boolean"}
    if task is not None and kinds and not kinds & needed:
        detail = f"No output can answer a {task} problem: it takes one of type {', '.join(sorted(needed))}."
        raise Refused("bad-task", detail, status=422)


def check_protected(protected: Sequence[Protected], signature: Signature) -> None:
    """Raises Refused 422 `bad-protected`: an unknown input, a number without edges, edges that do not ascend, …"""
    names = [one.name for one in protected]
    if len(set(names)) < len(names) or "" in names:
        raise _bad("Each protected attribute needs a name of its own.")
    if sum(one.feature is None for one in protected) > 1:
        raise _bad("Only one protected attribute can be the predictions' segment.")
    types = {one.name: one.type for one in signature.inputs}
    for one in protected:
        if one.feature in signature.personal:
            detail = f"The protected attribute '{one.name}' rests on '{one.feature}', which is personal: not measured."
            raise _bad(detail)
        _check(one, types)


def _check(one: Protected, types: dict[str, str]) -> None:
    named = f"The protected attribute '{one.name}'"
    if one.feature is None:
        if one.edges:
            raise _bad(f"{named} is the segment, a text; edges belong to a number input.")
        return
    if one.name == "segment":
        raise _bad(
            "The name 'segment' is kept for the predictions' segment; leave 'feature' out, or take another name."
        )
    if types and one.feature not in types:
        raise _bad(f"{named} rests on '{one.feature}', which is none of the inputs: {', '.join(types)}.")
    kind = types.get(one.feature)
    if kind == "double" and not one.edges:
        raise _bad(f"{named} is a measured number; give 'edges', such as [25, 60], to make groups of it.")
    if one.edges and kind in ("string", "boolean"):
        raise _bad(f"{named} is a {kind}; edges belong to a number input.")
    ascending = all(a < b for a, b in zip(one.edges, one.edges[1:], strict=False))
    if not ascending or not all(map(isfinite, one.edges)) or len(one.edges) > MAX_EDGES:
        raise _bad(f"{named} needs at most {MAX_EDGES} edges, each greater than the one before.")


def _bad(detail: str) -> Refused:
    return Refused("bad-protected", detail, status=422)
