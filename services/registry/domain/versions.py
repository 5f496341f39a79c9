"""What a new version must be: frozen parts that fit together."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.registry.domain.judged import check_protected, check_task
from services.registry.domain.model_state import ModelState
from services.registry.domain.names import check_branch, check_sha256
from shared.events.plain import not_plain
from shared.events.refusal import Refused
from shared.events.registry import Artifact, Field, ModelVersionRegistered, Signature

Values = Sequence[float | str | bool | None]


def complete(
    state: ModelState,
    given: ModelVersionRegistered,
    parents: Sequence[int] | None,
    limit: int,
    undigested: bool = False,
) -> ModelVersionRegistered:
    """`given` with its number, its parents (None: the newest of its branch) and a lower-case digest.

    `limit`: the most values per feature of the reference. `undigested`: it may come without the artifact's digest.
    Raises Refused with what does not fit.
    """
    if state.retired is not None:
        raise Refused("retired", f"Model '{given.model}' was retired: {state.retired}. Register it again first.")
    check_branch(given.branch)
    check_signature(given.signature)
    check_reference(given.reference, given.signature, limit)
    check_task(given.task, given.classes, given.signature)
    check_protected(given.protected, given.signature)
    check_plain(given.params, "params")
    return given.model_copy(
        update={
            "version": state.last + 1,
            "parents": _parents(state, given.branch, parents),
            "artifact": _artifact(given.artifact, undigested),
        }
    )


def _artifact(artifact: Artifact, undigested: bool) -> Artifact:
    """Whoever serves a model elsewhere may not have its bytes: then it has no digest."""
    if not artifact.sha256 and (undigested or artifact.uri.startswith("external:")):
        return artifact
    return artifact.model_copy(update={"sha256": check_sha256(artifact.sha256)})


def _parents(state: ModelState, branch: str, parents: Sequence[int] | None) -> tuple[int, ...]:
    if parents is None:
        newest = state.newest(branch)
        return () if newest is None else (newest,)
    if missing := [parent for parent in parents if parent not in state.versions]:
        newest = sorted(range(state.last, max(state.last - 5, 0), -1))
        told = f"the newest are {', '.join(map(str, newest))}" if newest else "there are none yet"
        detail = f"There is no version {missing[0]} to be a parent; {told}."
        raise Refused("unknown-version", detail, status=404, nearby=newest)
    if len(set(parents)) != len(parents):
        raise Refused("bad-parents", f"The parents {list(parents)} name a version twice.", status=422)
    return tuple(parents)


def check_signature(signature: Signature) -> None:
    """Raises Refused 422 `bad-signature` where a name comes twice or is empty."""
    for side, fields in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        names = [one.name for one in fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or "" in names:
            what = f"names {', '.join(twice)} twice" if twice else "has a field without a name"
            raise Refused("bad-signature", f"The signature's {side} {what}.", status=422)
    check_personal(signature)


def check_personal(signature: Signature) -> None:
    """Raises Refused 422 `bad-signature` for a personal output, and a subject that can name nobody."""
    if wrong := [one.name for one in signature.outputs if one.personal]:
        told = ", ".join(wrong)
        detail = f"The output {told} is marked personal; outputs are what is measured, and only inputs can be."
        raise Refused("bad-signature", detail, status=422)
    types = {one.name: one.type for one in signature.inputs}
    subject = signature.subject
    if subject is None or (subject == "entity" and subject not in types):
        return
    if types.get(subject) not in ("string", "long") or subject == "entity":
        detail = f"The subject '{subject}' must be 'entity' (the predictions' own) or an input of type string or long."
        raise Refused("bad-signature", detail, status=422, nearby=["entity", *types])


def check_reference(reference: Mapping[str, Values], signature: Signature, limit: int) -> None:
    """Raises Refused 422: a feature that the signature lacks (where there is one), too many values, a wrong one."""
    inputs = {one.name: one for one in signature.inputs}
    if inputs and (unknown := [name for name in reference if name not in inputs]):
        detail = f"The reference holds {', '.join(unknown)}, which the signature's inputs do not: {', '.join(inputs)}."
        raise Refused("unknown-feature", detail, status=422, features=unknown, nearby=list(inputs))
    if personal := [name for name in reference if name in signature.personal]:
        detail = f"The reference holds values of {', '.join(personal)}, which the signature marks personal."
        detail += " Leave them out: events are for ever."
        raise Refused("personal-reference", detail, status=422, features=personal)
    for name, values in reference.items():
        if len(values) > limit:
            detail = f"The reference of {name} has {len(values)} values, more than {limit}: send a sample."
            raise Refused("reference-too-large", detail, status=422)
        check_plain(values, f"reference.{name}")
        if name in inputs:
            _check_type(inputs[name], values)


def check_plain(value: Any, where: str) -> None:
    """Raises Refused 422 `not-plain` for what cannot be kept in an event: NaN, infinity, too large integers."""
    if reason := not_plain(value, where):
        raise Refused("not-plain", reason[0].upper() + reason[1:] + ".", status=422)


def _check_type(field: Field, values: Values) -> None:
    for place, value in enumerate(values):
        if value is None or _fits(field.type, value):
            continue
        detail = f"reference.{field.name}[{place}] is {value!r}, but the signature says {field.type}."
        raise Refused("wrong-type", detail, status=422)


def _fits(kind: str, value: float | str | bool) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and (kind == "double" or float(value).is_integer())
