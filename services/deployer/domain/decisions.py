"""The rules. Every refusal says which one and why."""

from collections import Counter
from collections.abc import Sequence

from services.deployer.domain.commands import Command, Deploy, Facts, GateFacts, Promote, Retire, RollBack, SetTraffic
from services.deployer.domain.routing import BUCKETS, buckets_of_percent
from services.deployer.domain.state import State
from shared.events.deployer import Deployed, Promoted, Retired, RolledBack, Share, Traffic, TrafficChanged
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import Rule

GATED = ("staging", "production")
"""Environments in which a version may answer only while the registry's gate of that name is open for it."""

BY_ENTITY = "entity"


def decide(state: State, command: Command) -> Sequence[Payload]:
    """What follows from a command. Raises Refused; nothing follows where all is already as commanded."""
    if isinstance(command, Deploy):
        return _deploy(state, command)
    if not state.exists:
        raise Refused("unknown-deployment", "There is no such deployment.", status=404)
    if state.retired:
        raise Refused("retired", f"Deployment '{state.deployment}' was retired; deploy under a new name.")
    match command:
        case SetTraffic():
            return _set_traffic(state, command)
        case Promote():
            return _promote(state, command)
        case RollBack():
            return _roll_back(state, command)
        case Retire():
            return [
                Retired(deployment=state.deployment, model=state.model, before=state.traffic, reason=command.reason)
            ]


def _deploy(state: State, command: Deploy) -> Sequence[Payload]:
    if state.retired:
        raise Refused("retired", f"Deployment '{state.deployment}' was retired; deploy under a new name.")
    if state.exists:
        return _deployed_before(state, command)
    traffic = Traffic(champion=command.version)
    _known(command.model, [command.version], command.facts)
    _servable([command.version], command.runtime.kind, command.facts)
    _gates_open(command.environment, [command.version], command.facts)
    return [
        Deployed(
            deployment=command.deployment,
            model=command.model,
            version=command.version,
            environment=command.environment,
            runtime=command.runtime,
            resources=command.resources,
            artifact=command.facts.versions[command.version].artifact,
            traffic=traffic,
        )
    ]


def _deployed_before(state: State, command: Deploy) -> Sequence[Payload]:
    differing = [
        name
        for name in ("model", "version", "environment", "runtime", "resources")
        if getattr(state, name) != getattr(command, name)
    ]
    if not differing:
        return []
    detail = f"Deployment '{state.deployment}' exists with another {', '.join(differing)}."
    raise Refused("deployment-exists", detail, differing=differing)


def _set_traffic(state: State, command: SetTraffic) -> Sequence[Payload]:
    after = command.traffic
    _well_formed(after)
    if after == state.traffic:
        return []
    listed = [after.champion, *(share.version for share in after.challengers), *after.shadows]
    _known(state.model, listed, command.facts)
    _servable(listed, state.runtime.kind, command.facts)
    _sticky(after, listed, command.facts)
    _gates_open(state.environment, _answering(state.traffic, after), command.facts)
    return [
        TrafficChanged(
            deployment=state.deployment, model=state.model, before=state.traffic, after=after, reason=command.reason
        )
    ]


def _promote(state: State, command: Promote) -> Sequence[Payload]:
    before = state.traffic
    version = _challenger(before, command.version)
    _known(state.model, [version], command.facts)
    _gates_open(state.environment, [version], command.facts)
    others = tuple(share for share in before.challengers if share.version != version)
    # The old champion stays listed, so that its session stays warm and the way back is one step.
    challengers = (*others, Share(version=before.champion, percent=0.0))
    after = before.model_copy(update={"champion": version, "challengers": challengers})
    return [Promoted(deployment=state.deployment, model=state.model, before=before, after=after, reason=command.reason)]


def _roll_back(state: State, command: RollBack) -> Sequence[Payload]:
    """No gate is asked: the way back leads to what was allowed, and must be open whatever happened since."""
    if not state.earlier:
        detail = f"The traffic of '{state.deployment}' never changed, so there is nothing to roll back to."
        raise Refused("nothing-to-roll-back", detail)
    after = state.earlier[-1]
    return [
        RolledBack(
            deployment=state.deployment, model=state.model, before=state.traffic, after=after, reason=command.reason
        )
    ]


def _challenger(traffic: Traffic, version: int | None) -> int:
    listed = {share.version: share.percent for share in traffic.challengers}
    if version is not None:
        if version not in listed:
            detail = f"Version {version} is no challenger here; challengers are {sorted(listed) or 'none'}."
            raise Refused("no-challenger", detail, champion=traffic.champion, challengers=sorted(listed))
        return version
    sharing = [number for number, percent in listed.items() if percent > 0]
    if len(sharing) == 1:
        return sharing[0]
    what = "Several challengers have" if sharing else "No challenger has"
    detail = f"{what} a share of the traffic; name the version to promote."
    raise Refused("no-challenger", detail, champion=traffic.champion, challengers=sorted(listed))


def _well_formed(traffic: Traffic) -> None:
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


def _known(model: str, versions: Sequence[int], facts: Facts) -> None:
    for version in versions:
        if version not in facts.versions:
            nearby = sorted(facts.known, key=lambda known: (abs(known - version), known))[:5]
            detail = f"Model '{model}' has no version {version}; it has {sorted(facts.known) or 'none yet'}."
            raise Refused("unknown-version", detail, status=404, nearby=nearby)


def _servable(versions: Sequence[int], kind: str, facts: Facts) -> None:
    if kind != "onnx":
        return
    for version in versions:
        uri = facts.versions[version].artifact.uri
        if uri.startswith("external:"):
            detail = f"Version {version} is served elsewhere ({uri}): deploy it with the runtime 'external' or 'v2'."
            raise Refused("artifact-elsewhere", detail, uri=uri)


def _sticky(traffic: Traffic, versions: Sequence[int], facts: Facts) -> None:
    if traffic.sticky_by in (None, BY_ENTITY):
        return
    for version in versions:
        inputs = [one.name for one in facts.versions[version].signature.inputs]
        if traffic.sticky_by not in inputs:
            detail = f"sticky_by '{traffic.sticky_by}' is neither '{BY_ENTITY}' nor an input of version {version}."
            raise Refused("unknown-sticky-by", detail, status=422, nearby=[BY_ENTITY, *inputs])


def _answering(before: Traffic, after: Traffic) -> list[int]:
    """The champion and the challengers, but for those that stay listed without a share."""
    listed = {share.version for share in before.challengers} | {before.champion}
    return [after.champion] + [
        share.version for share in after.challengers if share.percent > 0 or share.version not in listed
    ]


def _gates_open(environment: str, versions: Sequence[int], facts: Facts) -> None:
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
