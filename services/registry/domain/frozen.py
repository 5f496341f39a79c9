"""What is registered stays as it is: the same again changes nothing, something else under its name is refused."""

from collections.abc import Iterable
from typing import Any, NoReturn

from shared.events.envelope import Payload
from shared.events.refusal import Refused


def differences(before: Payload, after: Payload, ignored: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Fields in which two payloads of one type differ: `{field: {"registered": …, "given": …}}`."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    skipped = set(ignored)
    return {
        name: {"registered": old[name], "given": new[name]}
        for name in old
        if name not in skipped and old[name] != new[name]
    }


def register_once(registered: Payload | None, given: Payload, kind: str, name: str) -> list[Payload]:
    """State `given` when nothing is registered; nothing when the same is. Raises Refused 409 `already-registered`."""
    if registered is None:
        return [given]
    if changed := differences(registered, given):
        already_registered(kind, name, changed)
    return []


def already_registered(kind: str, name: str, changed: dict[str, dict[str, Any]]) -> NoReturn:
    """Raise the refusal that names every field in which the two differ."""
    fields = ", ".join(changed)
    raise Refused(
        "already-registered",
        f"The {kind} '{name}' is registered with another {fields}. What is registered stays: take a new name.",
        differences=changed,
    )
