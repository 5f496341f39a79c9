"""What follows where another service states harm of a version that answers here.

It never flaps: a reaction leads only to less of the accused version, never back to it, and within the cool-down only a
harder reaction follows. All times are when the log took a fact, so a redelivery or a replay decides the same.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from services.deployer.domain import canary
from services.deployer.domain.commands import React, RollBack, SetReactions
from services.deployer.domain.state import HARDNESS, State, shares
from shared.events.deployer import Reacted, Reaction, ReactionsSet, RolledBack, Traffic
from shared.events.envelope import Payload
from shared.events.refusal import Refused

_DONE = {"warn": "warned", "hold": "held", "roll_back": "rolled_back"}
Did = Literal["warned", "held", "rolled_back"]


def set_reactions(state: State, command: SetReactions) -> Sequence[Payload]:
    """The policy from now on."""
    said = ReactionsSet(
        deployment=state.deployment,
        model=state.model,
        rules=command.rules,
        cool_down_seconds=command.cool_down_seconds,
        reason=command.reason,
    )
    return [] if state.policy.said == said else [said]


def react(state: State, command: React) -> Sequence[Payload]:
    """The reaction and its effect; nothing where no rule asks for one, where the version does not answer (any more, or
    not yet when it was accused), or within the cool-down."""
    if not state.exists or state.retired:
        return []
    since = state.answering.get(command.version)
    rule = _rule(state, command)
    if rule is None or since is None or command.told < since:
        return []
    did, effect = _effect(state, command, rule.do)
    if _cooling(state, command, did):
        return []
    reaction = Reacted(
        deployment=state.deployment,
        model=state.model,
        version=command.version,
        on=command.on,
        wanted=rule.do,
        did=did,
        told=command.told,
        reason=command.words,
    )
    return [reaction, *effect]


def roll_back(state: State, command: RollBack) -> Sequence[Payload]:
    """By hand. No gate is asked: the way back leads to what was allowed, and must be open whatever happened since. A
    canary under way is taken out, whatever steps it had done."""
    if not state.earlier:
        detail = f"The traffic of '{state.deployment}' never changed, so there is nothing to roll back to."
        raise Refused("nothing-to-roll-back", detail)
    running = state.canary
    after = _without(state, running.plan.version) if running is not None else None
    return _rolled_back(state, after or state.earlier[-1], command.reason)


def _rule(state: State, command: React) -> Reaction | None:
    """The hardest rule that names what happened; else that of the canary's own guardrails."""
    said, running = state.policy.said, state.canary
    named: list[Reaction] = []
    if said is not None and state.policy.since is not None and command.told >= state.policy.since:
        named = [one for one in said.rules if one.on == command.on and (not one.names or command.name in one.names)]
    if running is not None and command.version == running.plan.version and command.on in running.plan.guardrails:
        named.append(Reaction(on=command.on, do="hold"))
    return max(named, key=lambda one: HARDNESS[_DONE[one.do]], default=None)


def _effect(state: State, command: React, wanted: str) -> tuple[Did, list[Payload]]:
    """What can be done of what is wanted: without a way back the canary is held, without a canary it is a warning."""
    after = _without(state, command.version) if wanted == "roll_back" else None
    if after is not None:
        return "rolled_back", _rolled_back(state, after, command.words)
    if wanted != "warn":
        held = canary.held(state, command.words)
        if held:
            return "held", held
    return "warned", []


def _cooling(state: State, command: React, did: Did) -> bool:
    last = state.policy.told
    if last is None:
        return False
    seconds = state.policy.said.cool_down_seconds if state.policy.said is not None else 0.0
    soon = command.told <= last or command.told < last + timedelta(seconds=seconds)
    return soon and HARDNESS[did] <= state.policy.hardness


def _without(state: State, version: int) -> Traffic | None:
    """The newest earlier traffic in which this version did not answer."""
    return next((one for one in reversed(state.earlier) if version not in shares(one)), None)


def _rolled_back(state: State, after: Traffic, reason: str) -> list[Payload]:
    back = RolledBack(deployment=state.deployment, model=state.model, before=state.traffic, after=after, reason=reason)
    return [back, *canary.ended(state, after, reason, back=True)]
