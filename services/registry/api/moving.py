"""Who may move which alias, and which gate has to be open for it."""

from shared.events.registry import Stage
from shared.runtime.http import Call
from shared.runtime.identity import Role
from shared.runtime.problems import Problem

MOVERS = (Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.DEVOPS, Role.RISK_MANAGER)


def may_move(call: Call, alias: str) -> None:
    """Raises Problem 403 `alias-not-allowed` where `alias_roles` keeps the alias for others, or the caller's key does
    not move it."""
    if alias in call.caller.not_aliases:
        detail = f"The key of {call.caller.actor} may move aliases, but not '{alias}'."
        raise Problem(403, "alias-not-allowed", detail, "Ask for a key that may.")
    named = call.service.settings.alias_roles.get(alias)
    if named is None:
        return
    allowed = frozenset(Role(name) for name in named if name in set(Role))
    if not call.caller.may(allowed):
        own = ", ".join(sorted(call.caller.roles)) or "no role"
        detail = f"{call.caller.actor} has {own}; '{alias}' is moved by {', '.join(sorted(allowed))}."
        raise Problem(403, "alias-not-allowed", detail, "Ask one of them.", roles=sorted(allowed))


def may_move_all(call: Call, aliases: list[str]) -> None:
    """The same of each of these."""
    for alias in aliases:
        may_move(call, alias)


def gate_of(call: Call, alias: str) -> Stage | None:
    """The stage whose gate guards this alias, if any does."""
    return call.service.settings.alias_gates.get(alias)
