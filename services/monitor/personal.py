"""Personal values of one prediction, for who may read them."""

from typing import Any

from services.monitor.cases import Case
from shared.keyring.keyring import Keyring
from shared.keyring.sealing import opened
from shared.runtime.identity import Caller, Role

READERS = frozenset((Role.SME, Role.RISK_MANAGER, Role.AUDITOR))


async def told(keyring: Keyring, case: Case, caller: Caller, names: tuple[str, ...]) -> dict[str, Any]:
    """`entity`, `features` and `personal` as a prediction answers them. `personal`: None where nothing was sealed, else
    {state: open | erased | withheld | unreadable, subject: the token, features: the names sealed, detail}. A sealed
    feature that cannot be read is null."""
    found = await opened(keyring, case.values, caller.may(READERS))
    if found is None:
        return {"entity": case.values.get("entity"), "features": case.features, "personal": None}
    return {
        "entity": found.entity if found.state == "open" else found.token,
        "features": case.features | dict.fromkeys(names) | found.features,
        "personal": {
            "state": found.state,
            "subject": found.token,
            "features": sorted({*names, *found.features}),
            "detail": found.detail,
        },
    }


async def names_of(keyring: Keyring, entity: str | None, caller: Caller) -> tuple[str, ...] | None:
    """The names under which the log may hold an entity: its own, and for who may read personal values its token."""
    if entity is None:
        return None
    token = await keyring.token(entity) if caller.may(READERS) else None
    return (entity, token) if token is not None else (entity,)
