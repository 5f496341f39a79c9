"""In what two versions of a model differ."""

from typing import Any

from shared.events.registry import Field, ModelVersionRegistered


def diff(a: ModelVersionRegistered, b: ModelVersionRegistered) -> dict[str, Any]:
    """Parameters, metrics, data, code, artifact and its size, framework, signature, …; what is alike is left out."""
    return {
        "params": _mapping(a.params, b.params),
        "metrics": _metrics(a.metrics, b.metrics),
        "training_data": _training_data(a, b),
        "code": _single(a, b, "code"),
        "artifact": _single(a, b, "artifact"),
        "size": _size(a.artifact.size, b.artifact.size),
        "framework": _single(a, b, "framework"),
        "pipeline_run": _single(a, b, "pipeline_run"),
        "task": _single(a, b, "task"),
        "signature": {
            "inputs": _mapping(_fields(a.signature.inputs), _fields(b.signature.inputs)),
            "outputs": _mapping(_fields(a.signature.outputs), _fields(b.signature.outputs)),
            "subject": _pair(a.signature.subject, b.signature.subject),
        },
    }


def _mapping(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return {
        "added": {name: b[name] for name in b if name not in a},
        "removed": {name: a[name] for name in a if name not in b},
        "changed": {name: {"a": a[name], "b": b[name]} for name in a if name in b and a[name] != b[name]},
    }


def _metrics(a: dict[str, float], b: dict[str, float]) -> dict[str, Any]:
    compared = _mapping(a, b)
    for name, pair in compared["changed"].items():
        pair["change"] = b[name] - a[name]
    return compared


def _size(a: int | None, b: int | None) -> dict[str, int | None] | None:
    """In bytes; `change` only where both are known."""
    return None if a == b else {"a": a, "b": b, "change": b - a if a is not None and b is not None else None}


def _training_data(a: ModelVersionRegistered, b: ModelVersionRegistered) -> dict[str, Any]:
    return {
        "added": [ref.model_dump() for ref in b.training_data if ref not in a.training_data],
        "removed": [ref.model_dump() for ref in a.training_data if ref not in b.training_data],
    }


def _single(a: ModelVersionRegistered, b: ModelVersionRegistered, name: str) -> dict[str, Any] | None:
    return _pair(a.model_dump(mode="json")[name], b.model_dump(mode="json")[name])


def _pair(old: Any, new: Any) -> dict[str, Any] | None:
    return None if old == new else {"a": old, "b": new}


def _fields(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {field.name: field.model_dump(mode="json", exclude={"name"}) for field in fields}
