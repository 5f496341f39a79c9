"""A canary: a version that gets more traffic step by step, by the clock, unless something is stated against it."""

from collections.abc import Sequence
from datetime import timedelta

from services.deployer.domain.commands import HoldCanary, ResumeCanary, StartCanary, StepCanary
from services.deployer.domain.rules import gates_open, known, servable, well_formed
from services.deployer.domain.state import Canary, State, shares
from shared.events.deployer import (
    CanaryEnded,
    CanaryHeld,
    CanaryResumed,
    CanaryStarted,
    Promoted,
    Share,
    Traffic,
    TrafficChanged,
)
from shared.events.envelope import Payload
from shared.events.refusal import Refused


def start(state: State, command: StartCanary) -> Sequence[Payload]:
    """The plan, and its first step."""
    running = state.canary
    if running is not None:
        detail = f"Version {running.plan.version} is a canary on '{state.deployment}' already; roll it back first."
        raise Refused("canary-running", detail, version=running.plan.version)
    if command.version == state.traffic.champion:
        raise Refused("canary-is-champion", f"Version {command.version} is the champion of '{state.deployment}'.")
    if any(after <= before for before, after in zip((0.0, *command.steps), command.steps, strict=False)):
        raise Refused("bad-steps", f"Steps {list(command.steps)} do not rise, each above the one before.", status=422)
    well_formed(with_share(state.traffic, command.version, command.steps[-1]))
    known(state.model, [command.version], command.facts)
    servable([command.version], state.runtime.kind, command.facts)
    gates_open(state.environment, [command.version], command.facts)
    plan = CanaryStarted(
        deployment=state.deployment,
        model=state.model,
        version=command.version,
        steps=command.steps,
        step_seconds=command.step_seconds,
        promote=command.promote,
        guardrails=command.guardrails,
        reason=command.reason,
    )
    return [plan, *_stepped(state, plan, 0)]


def step(state: State, command: StepCanary) -> Sequence[Payload]:
    """The next step once it is due, or the end; nothing while the canary is held. A gate that closed holds it."""
    canary = state.canary
    if canary is None or canary.held is not None:
        return []
    if command.at < canary.since + timedelta(seconds=canary.plan.step_seconds):
        return []
    try:
        gates_open(state.environment, [canary.plan.version], command.facts)
    except Refused as error:
        return [_held(state, canary, str(error))]
    if canary.step + 1 < len(canary.plan.steps):
        return _stepped(state, canary.plan, canary.step + 1)
    done = f"canary of version {canary.plan.version} completed"
    ended = _ended(state, canary, "completed", done)
    if not canary.plan.promote:
        return [ended]
    return [promoted(state, canary.plan.version, done), ended]


def hold(state: State, command: HoldCanary) -> Sequence[Payload]:
    """By hand."""
    canary = _running(state)
    return [] if canary.held is not None else [_held(state, canary, command.reason)]


def resume(state: State, command: ResumeCanary) -> Sequence[Payload]:
    """By hand; no service takes back its own hold."""
    canary = _running(state)
    if canary.held is None:
        return []
    version = canary.plan.version
    return [CanaryResumed(deployment=state.deployment, model=state.model, version=version, reason=command.reason)]


def promoted(state: State, version: int, reason: str) -> Promoted:
    """The old champion stays listed, so that its session stays warm and the way back is one step."""
    before = state.traffic
    others = tuple(share for share in before.challengers if share.version != version)
    challengers = (*others, Share(version=before.champion, percent=0.0))
    after = before.model_copy(update={"champion": version, "challengers": challengers})
    return Promoted(deployment=state.deployment, model=state.model, before=before, after=after, reason=reason)


def held(state: State, reason: str) -> list[Payload]:
    """The canary is held, where one goes on."""
    return [] if state.canary is None or state.canary.held is not None else [_held(state, state.canary, reason)]


def ended(state: State, after: Traffic, reason: str, back: bool = False) -> list[Payload]:
    """The end of a canary whose share is another one after somebody else set the traffic, or rolled it back."""
    canary = state.canary
    if canary is None:
        return []
    version = canary.plan.version
    if after.champion == version:
        return [_ended(state, canary, "completed", reason)]
    if shares(after).get(version, 0.0) == shares(state.traffic).get(version, 0.0):
        return []
    return [_ended(state, canary, "rolled_back" if back else "stopped", reason)]


def with_share(traffic: Traffic, version: int, percent: float) -> Traffic:
    """The traffic with this challenger at this share; a shadow that becomes one is no shadow any more."""
    others = tuple(share for share in traffic.challengers if share.version != version)
    shadows = tuple(shadow for shadow in traffic.shadows if shadow != version)
    challengers = (*others, Share(version=version, percent=percent))
    return traffic.model_copy(update={"challengers": challengers, "shadows": shadows})


def _stepped(state: State, plan: CanaryStarted, place: int) -> list[Payload]:
    after = with_share(state.traffic, plan.version, plan.steps[place])
    if after == state.traffic:
        return []
    reason = f"canary of version {plan.version}, step {place + 1} of {len(plan.steps)}"
    return [
        TrafficChanged(deployment=state.deployment, model=state.model, before=state.traffic, after=after, reason=reason)
    ]


def _running(state: State) -> Canary:
    if state.canary is None:
        raise Refused("no-canary", f"There is no canary on '{state.deployment}'.")
    return state.canary


def _held(state: State, canary: Canary, reason: str) -> CanaryHeld:
    return CanaryHeld(deployment=state.deployment, model=state.model, version=canary.plan.version, reason=reason)


def _ended(state: State, canary: Canary, outcome: str, reason: str) -> CanaryEnded:
    return CanaryEnded(
        deployment=state.deployment,
        model=state.model,
        version=canary.plan.version,
        outcome=outcome,  # type: ignore[arg-type]
        reason=reason,
    )
