"""What every change of traffic must meet. Each raises Refused and says which rule and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from services.deployer.domain.commands import Facts, GateFacts
from services.deployer.domain.routing import BUCKETS, buckets_of_percent
from shared.events.deployer import Traffic
from shared.events.refusal import Refused
from shared.events.registry import Field, Rule

GATED = ("staging", "production")
"""Environments in which a version may answer only while the registry's gate of that name is open for it."""

BY_ENTITY = "entity"
_LONG = 2**63


def well_formed(traffic: Traffic) -> None:
    """Shares in hundredths of a percent, at most 100 together, and one role per version. Refuses with 422."""
    for share in traffic.challengers:
        if not 0 <= share.percent <= 100 or abs(share.percent * 100 - round(share.percent * 100)) > 1e-6:
            detail = f"Version {share.version} has {share.percent} percent; a share is 0 to 100 in steps of 0.01."
            raise Refused("bad-share", detail, status=422)
    if sum(buckets_of_percent(share.percent) for share in traffic.challengers) > BUCKETS:
        total = sum(share.percent for share in traffic.challengers)
        detail = f"The challengers' shares sum to {total:g} percent; at most 100 can be given."
        raise Refused("shares-over-100", detail, status=422)
    roles = Counter([traffic.champion, *(share.version for share in traffic.challengers), *traffic.shadows])
    twice = sorted(version for version, count in roles.items() if count > 1)
    if twice:
        raise Refused("two-roles", f"Versions {twice} are named more than once; each has one role.", status=422)


def known(model: str, versions: Sequence[int], facts: Facts) -> None:
    for version in versions:
        if version not in facts.versions:
            nearby = sorted(facts.known, key=lambda known: (abs(known - version), known))[:5]
            had = ", ".join(map(str, sorted(facts.known)))
            told = f"it has {had}" if had else "it has none yet, as far as is known here"
            detail = (
                f"Model '{model}' has no version {version}; {told}. One just registered is waited for by ?after=EVENT."
            )
            raise Refused("unknown-version", detail, status=404, nearby=nearby)


def servable(versions: Sequence[int], kind: str, facts: Facts) -> None:
    if kind != "onnx":
        return
    for version in versions:
        uri = facts.versions[version].artifact.uri
        if uri.startswith("external:"):
            detail = f"Version {version} is served elsewhere ({uri}): deploy it with the runtime 'external' or 'v2'."
            raise Refused("artifact-elsewhere", detail, uri=uri)


def sticky(traffic: Traffic, versions: Sequence[int], facts: Facts) -> None:
    if traffic.sticky_by in (None, BY_ENTITY):
        return
    for version in versions:
        inputs = [one.name for one in facts.versions[version].signature.inputs]
        if traffic.sticky_by not in inputs:
            detail = f"sticky_by '{traffic.sticky_by}' is neither '{BY_ENTITY}' nor an input of version {version}."
            raise Refused("unknown-sticky-by", detail, status=422, nearby=[BY_ENTITY, *inputs])


def fitting(constant: Mapping[str, Any], outputs: Sequence[Field]) -> None:
    """A constant answers outputs that the model has, in their types. `outputs`: none where the signature names none.
    Refuses with 422."""
    types = {one.name: one.type for one in outputs}
    for name, value in constant.items():
        if name not in types and types:
            detail = f"The champion has no output '{name}'; it has {', '.join(types)}."
            raise Refused("bad-fallback", detail, status=422, nearby=list(types))
        if not _fits(value, types.get(name)):
            wanted = types.get(name, "of some type")
            detail = f"Output '{name}' is {wanted} by the champion's signature, and the constant says {value!r:.50}."
            raise Refused("bad-fallback", detail, status=422)


def _fits(value: Any, kind: str | None) -> bool:
    number = type(value) is float or (type(value) is int and abs(value) < _LONG)
    match kind:
        case "double":
            return number
        case "long":
            return number and abs(value) < _LONG and value == int(value)
        case "boolean":
            return type(value) is bool
        case "string":
            return type(value) is str
        case _:
            return number or type(value) in (bool, str)


def answering(before: Traffic, after: Traffic) -> list[int]:
    """The champion and the challengers, but for those that stay listed without a share."""
    listed = {share.version for share in before.challengers} | {before.champion}
    return [after.champion] + [
        share.version for share in after.challengers if share.percent > 0 or share.version not in listed
    ]


def gates_open(environment: str, versions: Sequence[int], facts: Facts) -> None:
    """Refuses with `rules`: those of every version whose gate is closed, each with its version."""
    if environment not in GATED:
        return
    closed = {version: _rules(facts.versions[version].gate, environment) for version in versions}
    closed = {version: rules for version, rules in closed.items() if rules is not None}
    if not closed:
        return
    named = [{"version": version} | rule.model_dump(mode="json") for version, rules in closed.items() for rule in rules]
    failed = "; ".join(rule.reason for rules in closed.values() for rule in rules if not rule.passed)
    detail = f"The {environment} gate is closed for version {', '.join(map(str, closed))}: {failed}"
    raise Refused("gate-closed", detail, stage=environment, versions=list(closed), rules=named)


def _rules(gate: GateFacts | None, stage: str) -> tuple[Rule, ...] | None:
    """The rules of a closed gate; None where it is open."""
    if gate is None:
        reason = f"The registry has not stated the {stage} gate of this version yet."
        return (Rule(rule="gate-known", passed=False, reason=reason),)
    return None if gate.allowed else gate.rules
