"""The rules. Every refusal says which one and why."""

from collections.abc import Sequence

from services.deployer.domain import canary, reacting
from services.deployer.domain.commands import (
    Command,
    Deploy,
    HoldCanary,
    Promote,
    React,
    Report,
    ResumeCanary,
    Retire,
    RollBack,
    SetFallback,
    SetReactions,
    SetTraffic,
    StartCanary,
    StateLoss,
    StepCanary,
)
from services.deployer.domain.rules import GATED, answering, fitting, gates_open, known, servable, sticky, well_formed
from services.deployer.domain.state import State
from shared.events.deployer import (
    Deployed,
    FallbackSet,
    PredictionsLost,
    ResourcesDeclared,
    Retired,
    Traffic,
    TrafficChanged,
)
from shared.events.envelope import Payload
from shared.events.refusal import Refused

__all__ = ["GATED", "decide"]


def decide(state: State, command: Command) -> Sequence[Payload]:
    """What follows from a command. Raises Refused; nothing follows where all is already as commanded."""
    if isinstance(command, Deploy):
        return _deploy(state, command)
    if isinstance(command, Report):
        return _report(state, command)
    if isinstance(command, React):
        return reacting.react(state, command)
    if not state.exists:
        raise Refused("unknown-deployment", "There is no such deployment.", status=404)
    if isinstance(command, StateLoss):
        return _lost(state, command)
    if state.retired:
        raise Refused("retired", f"Deployment '{state.deployment}' was retired; deploy under a new name.")
    match command:
        case SetTraffic():
            return _set_traffic(state, command)
        case Promote():
            return _promote(state, command)
        case RollBack():
            return reacting.roll_back(state, command)
        case Retire():
            return [
                Retired(deployment=state.deployment, model=state.model, before=state.traffic, reason=command.reason)
            ]
        case SetReactions():
            return reacting.set_reactions(state, command)
        case SetFallback():
            return _set_fallback(state, command)
        case _:
            return _canary(state, command)


def _canary(state: State, command: StartCanary | StepCanary | HoldCanary | ResumeCanary) -> Sequence[Payload]:
    match command:
        case StartCanary():
            return canary.start(state, command)
        case StepCanary():
            return canary.step(state, command)
        case HoldCanary():
            return canary.hold(state, command)
        case ResumeCanary():
            return canary.resume(state, command)


def _lost(state: State, command: StateLoss) -> Sequence[Payload]:
    """Each count of a process is stated once, of a retired deployment too."""
    if (command.process, command.version, command.reason) in state.lost:
        return []
    return [
        PredictionsLost(
            deployment=state.deployment,
            model=state.model,
            version=command.version,
            rows=command.rows,
            process=command.process,
            reason=command.reason,
        )
    ]


def _set_fallback(state: State, command: SetFallback) -> Sequence[Payload]:
    fallback = command.fallback
    if (fallback.kind == "constant") != bool(fallback.outputs):
        raise Refused("bad-fallback", "A constant needs its outputs, and only a constant has any.", status=422)
    fitting(fallback.outputs, command.outputs)
    if fallback == state.fallback:
        return []
    return [FallbackSet(deployment=state.deployment, model=state.model, fallback=fallback, reason=command.reason)]


def _deploy(state: State, command: Deploy) -> Sequence[Payload]:
    if state.retired:
        raise Refused("retired", f"Deployment '{state.deployment}' was retired; deploy under a new name.")
    if state.exists:
        return _deployed_before(state, command)
    traffic = Traffic(champion=command.version)
    known(command.model, [command.version], command.facts)
    servable([command.version], command.runtime.kind, command.facts)
    gates_open(command.environment, [command.version], command.facts)
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


def _report(state: State, command: Report) -> Sequence[Payload]:
    """The version becomes the champion, alone; a closed gate refuses here, too, so that the pipeline's step fails."""
    wanted = command.deploy
    if not state.exists or state.retired:
        return _deploy(state, wanted)
    names = ("model", "environment", "runtime")
    differing = [name for name in names if getattr(state, name) != getattr(wanted, name)]
    if differing:
        detail = f"Deployment '{state.deployment}' exists with another {', '.join(differing)}."
        raise Refused("deployment-exists", detail, differing=differing)
    stated: list[Payload] = []
    if state.traffic.champion != wanted.version:
        shadows = tuple(shadow for shadow in state.traffic.shadows if shadow != wanted.version)
        after = Traffic(champion=wanted.version, shadows=shadows, sticky_by=state.traffic.sticky_by)
        stated += _set_traffic(state, SetTraffic(after, wanted.facts, command.reason))
    if state.resources != wanted.resources:
        told = {"deployment": state.deployment, "model": state.model, "reason": command.reason}
        stated.append(ResourcesDeclared(resources=wanted.resources, **told))
    return stated


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
    well_formed(after)
    if after == state.traffic:
        return []
    listed = [after.champion, *(share.version for share in after.challengers), *after.shadows]
    known(state.model, listed, command.facts)
    servable(listed, state.runtime.kind, command.facts)
    sticky(after, listed, command.facts)
    gates_open(state.environment, answering(state.traffic, after), command.facts)
    return [
        TrafficChanged(
            deployment=state.deployment, model=state.model, before=state.traffic, after=after, reason=command.reason
        ),
        *canary.ended(state, after, command.reason),
    ]


def _promote(state: State, command: Promote) -> Sequence[Payload]:
    version = _challenger(state.traffic, command.version)
    known(state.model, [version], command.facts)
    gates_open(state.environment, [version], command.facts)
    fact = canary.promoted(state, version, command.reason)
    return [fact, *canary.ended(state, fact.after, command.reason)]


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
