"""Canaries and reactions: given these facts, when this is commanded or told, then these facts follow."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.deployer import domain
from services.deployer.domain import (
    HoldCanary,
    Promote,
    React,
    ResumeCanary,
    Retire,
    RollBack,
    SetFallback,
    SetReactions,
    SetTraffic,
    StartCanary,
    State,
    StepCanary,
)
from shared.events.deployer import (
    CanaryEnded,
    CanaryHeld,
    CanaryResumed,
    CanaryStarted,
    Fallback,
    FallbackSet,
    Promoted,
    Reacted,
    Reaction,
    ReactionsSet,
    RolledBack,
    Traffic,
    TrafficChanged,
)
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import Field
from tests.unit.deployer.given import AT, CLOSED, after, deployed, event, facts, traffic

HOUR = timedelta(hours=1)
CANARY = StartCanary(2, (5.0, 20.0, 50.0), 3_600.0, True, ("kpi", "guardrail"), facts(1, 2, 3))
ROLL_BACK = SetReactions((Reaction(on="kpi", do="roll_back"), Reaction(on="drift", do="warn")), 3_600.0)


def told(on: str = "kpi", version: int = 2, at: timedelta = HOUR, name: str = "cost") -> React:
    return React(on, version, name, AT + at, f"{name} is bad")  # type: ignore[arg-type]


def step(hours: float, **gates: Any) -> StepCanary:
    return StepCanary(AT + hours * HOUR, facts(1, 2, 3, **gates))


def begun(*commands: Any) -> State:
    return after(domain.evolve(domain.initial, event(deployed())), *commands)[0]


def then(before: State, command: Any, hours: float = 0.0) -> tuple[State, list[Payload]]:
    """The state and the facts after a command whose facts happen (and are recorded) so much later."""
    stated = list(domain.decide(before, command))
    for one in stated:
        before = domain.evolve(before, structs.replace(event(one), time=AT + hours * HOUR))
    return before, stated


def kinds(stated: list[Payload]) -> list[str]:
    return [type(one).__name__ for one in stated]


def refusal(before: State, command: Any) -> Refused:
    with pytest.raises(Refused) as found:
        domain.decide(before, command)
    return found.value


def test_a_canary_climbs_by_the_clock_and_is_promoted() -> None:
    state, stated = then(begun(), CANARY)
    assert kinds(stated) == ["CanaryStarted", "TrafficChanged"]
    assert state.traffic == traffic(1, (2, 5.0))
    assert domain.decide(state, step(0.9)) == []
    state, stated = then(state, step(1), 1)
    assert (kinds(stated), state.traffic) == (["TrafficChanged"], traffic(1, (2, 20.0)))
    assert domain.decide(state, step(1.9)) == []
    state, _ = then(state, step(2), 2)
    assert state.traffic == traffic(1, (2, 50.0))
    state, stated = then(state, step(3), 3)
    assert kinds(stated) == ["Promoted", "CanaryEnded"]
    assert (state.traffic, state.canary) == (traffic(2, (1, 0.0)), None)
    assert domain.decide(state, step(9)) == []


def test_without_promotion_it_ends_at_its_last_share() -> None:
    state, _ = then(begun(), replace(CANARY, steps=(5.0,), promote=False))
    state, stated = then(state, step(1), 1)
    assert (kinds(stated), state.traffic, state.canary) == (["CanaryEnded"], traffic(1, (2, 5.0)), None)


def test_a_held_canary_waits_and_goes_on_from_the_start_of_its_step() -> None:
    state, stated = then(begun(CANARY), HoldCanary("look"))
    assert stated == [CanaryHeld(deployment="late", model="late-flights", version=2, reason="look")]
    assert (domain.decide(state, step(5)), domain.decide(state, HoldCanary())) == ([], [])
    state, stated = then(state, ResumeCanary("fine"), 5)
    assert [type(one) for one in stated] == [CanaryResumed]
    assert (domain.decide(state, step(5.9)), domain.decide(state, ResumeCanary())) == ([], [])
    assert kinds(then(state, step(6), 6)[1]) == ["TrafficChanged"]


def test_a_gate_that_closed_holds_the_canary() -> None:
    (held,) = domain.decide(begun(CANARY), step(1, gates={2: CLOSED}))
    assert isinstance(held, CanaryHeld)
    assert "gate is closed" in held.reason


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"version": 1}, "canary-is-champion"),
        ({"steps": (5.0, 5.0)}, "bad-steps"),
        ({"steps": (20.0, 5.0)}, "bad-steps"),
        ({"steps": (5.0, 5.001)}, "bad-share"),
        ({"version": 9}, "unknown-version"),
        ({"facts": facts(1, 2, gates={2: CLOSED})}, "gate-closed"),
    ],
)
def test_a_canary_that_cannot_be_is_refused(changed: dict[str, Any], code: str) -> None:
    assert refusal(begun(), replace(CANARY, **changed)).code == code


def test_shares_over_100_two_canaries_and_none_are_refused() -> None:
    crowded = begun(SetTraffic(traffic(1, (3, 60.0)), facts(1, 2, 3)))
    assert refusal(crowded, CANARY).code == "shares-over-100"
    assert refusal(begun(CANARY), replace(CANARY, version=3)).code == "canary-running"
    assert {refusal(begun(), one).code for one in (HoldCanary(), ResumeCanary())} == {"no-canary"}


@pytest.mark.parametrize(
    ("command", "outcome", "now"),
    [
        (SetTraffic(traffic(1), facts(1, 2)), "stopped", traffic(1)),
        (SetTraffic(traffic(1, (2, 9.0)), facts(1, 2)), "stopped", traffic(1, (2, 9.0))),
        (Promote(2, facts(1, 2)), "completed", traffic(2, (1, 0.0))),
        (RollBack("harm"), "rolled_back", traffic(1)),
    ],
)
def test_whoever_sets_the_traffic_ends_the_canary(command: Any, outcome: str, now: Traffic) -> None:
    state, _ = then(begun(CANARY), step(1), 1)
    state, stated = then(state, command, 1.5)
    ended = stated[-1]
    assert isinstance(ended, CanaryEnded)
    assert (ended.outcome, state.traffic, state.canary) == (outcome, now, None)
    assert domain.decide(state, step(9)) == []


def test_a_change_beside_the_canary_lets_it_go_on() -> None:
    with_shadow = traffic(1, (2, 5.0), shadows=(3,))
    state, stated = then(begun(CANARY), SetTraffic(with_shadow, facts(1, 2, 3)))
    assert (kinds(stated), state.canary is not None) == (["TrafficChanged"], True)
    assert domain.evolve(state, event(domain.decide(state, Retire())[0])).canary is None


def test_harm_of_the_canary_rolls_back_by_policy_on_record() -> None:
    state, _ = then(begun(ROLL_BACK, CANARY), step(1), 1)
    state, stated = then(state, told(at=1.5 * HOUR), 1.5)
    assert kinds(stated) == ["Reacted", "RolledBack", "CanaryEnded"]
    reacted = stated[0]
    assert isinstance(reacted, Reacted)
    assert (reacted.on, reacted.wanted, reacted.did, reacted.version) == ("kpi", "roll_back", "rolled_back", 2)
    assert (state.traffic, state.canary, state.earlier) == (traffic(1), None, ())


def test_its_own_guardrails_hold_a_canary_without_a_policy() -> None:
    state, stated = then(begun(CANARY), told())
    assert (kinds(stated), state.canary.held) == (["Reacted", "CanaryHeld"], "cost is bad")  # type: ignore[union-attr]
    assert domain.decide(begun(CANARY), told("drift")) == []
    assert domain.decide(begun(CANARY), told(version=1)) == []


def test_a_new_champion_that_harms_gives_way_to_the_old_one() -> None:
    state, _ = then(begun(ROLL_BACK, SetTraffic(traffic(1, (2, 10.0)), facts(1, 2))), Promote(2, facts(1, 2)))
    state, stated = then(state, told(), 1)
    assert (kinds(stated), state.traffic) == (["Reacted", "RolledBack"], traffic(1))


def test_without_a_way_back_the_canary_is_held_and_without_one_it_is_a_warning() -> None:
    _, stated = then(begun(ROLL_BACK, CANARY), told(version=1))
    assert [(one.did, one.wanted) for one in stated if isinstance(one, Reacted)] == [("held", "roll_back")]
    _, stated = then(begun(ROLL_BACK), told(version=1))
    assert [(one.did, one.wanted) for one in stated if isinstance(one, Reacted)] == [("warned", "roll_back")]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (told(version=3), "it does not answer"),
        (told("flags"), "no rule"),
        (told(at=-HOUR), "it was told before the version answered"),
    ],
)
def test_what_is_no_ones_business_has_no_effect(command: React, why: str) -> None:
    state = begun(ROLL_BACK, SetTraffic(traffic(1, (2, 10.0)), facts(1, 2)))
    assert domain.decide(state, command) == [], why
    assert domain.decide(domain.initial, command) == []


def test_a_rule_may_name_what_counts_and_the_hardest_counts() -> None:
    rules = (Reaction(on="drift", do="roll_back", names=("wind",)), Reaction(on="drift", do="warn"))
    state = begun(SetReactions(rules, 60.0), SetTraffic(traffic(1, (2, 10.0)), facts(1, 2)))
    assert kinds(list(domain.decide(state, told("drift", name="hour")))) == ["Reacted"]
    assert kinds(list(domain.decide(state, told("drift", name="wind")))) == ["Reacted", "RolledBack"]


def test_within_the_cool_down_only_a_harder_reaction_follows() -> None:
    state = begun(ROLL_BACK, SetTraffic(traffic(1, (2, 10.0)), facts(1, 2)))
    state, stated = then(state, told("drift"), 1)
    assert kinds(stated) == ["Reacted"]
    assert domain.decide(state, told("drift", at=1.5 * HOUR)) == []
    assert kinds(list(domain.decide(state, told("drift", at=2 * HOUR)))) == ["Reacted"]
    state, stated = then(state, told("kpi", at=1.5 * HOUR), 1.5)
    assert kinds(stated) == ["Reacted", "RolledBack"]
    assert domain.decide(state, told("kpi", version=1, at=2 * HOUR)) == []


TRIGGERS = ("kpi", "drift", "guardrail", "flags")


@given(st.lists(st.tuples(st.sampled_from(TRIGGERS), st.integers(1, 3), st.integers(0, 40))))
def test_no_order_of_harm_or_redelivery_ever_brings_an_accused_version_back(harms: list[tuple[str, int, int]]) -> None:
    rules = tuple(Reaction(on=one, do="roll_back") for one in TRIGGERS)  # type: ignore[arg-type]
    promoted = (SetTraffic(traffic(1, (2, 10.0)), facts(1, 2, 3)), Promote(2, facts(1, 2, 3)))
    state = begun(SetReactions(rules, 7_200.0), *promoted, replace(CANARY, version=3))
    for on, version, minutes in harms + harms:
        before = set(domain.state.shares(state.traffic))
        state, stated = then(state, told(on, version, timedelta(minutes=minutes)), minutes / 60)
        if any(isinstance(one, RolledBack) for one in stated):
            assert version not in domain.state.shares(state.traffic)
        else:
            assert set(domain.state.shares(state.traffic)) == before
        assert len([one for one in stated if isinstance(one, RolledBack)]) <= 1


def test_a_policy_and_a_fallback_are_stated_once() -> None:
    state, stated = then(begun(), ROLL_BACK)
    assert [type(one) for one in stated] == [ReactionsSet]
    assert domain.decide(state, ROLL_BACK) == []
    constant = SetFallback(Fallback(kind="constant", outputs={"p": 0.5}))
    state, stated = then(state, constant)
    assert [type(one) for one in stated] == [FallbackSet]
    assert (domain.decide(state, constant), state.fallback.outputs) == ([], {"p": 0.5})
    assert refusal(state, SetFallback(Fallback(kind="constant"))).code == "bad-fallback"
    assert refusal(state, SetFallback(Fallback(kind="none", outputs={"p": 1.0}))).code == "bad-fallback"


@pytest.mark.parametrize(
    ("kind", "fitting", "other"),
    [
        ("double", [0, 0.5], [True, "0"]),
        ("long", [0, 2.0], [0.5, True, "0", 2.0**70]),
        ("boolean", [True], [1, "true"]),
        ("string", ["late"], [1, True]),
    ],
)
def test_a_constant_fits_the_champions_outputs(kind: Any, fitting: list[Any], other: list[Any]) -> None:
    outputs = (Field(name="p", type=kind),)
    for value in fitting:
        then(begun(), SetFallback(Fallback(kind="constant", outputs={"p": value}), outputs=outputs))
    for wrong in [*({"p": value} for value in other), {"q": fitting[0]}]:
        fallback = Fallback(kind="constant", outputs=wrong)
        assert refusal(begun(), SetFallback(fallback, outputs=outputs)).code == "bad-fallback"
    unknown = Fallback(kind="constant", outputs={"p": 2**63})
    assert refusal(begun(), SetFallback(unknown)).code == "bad-fallback"


def test_a_promotion_by_a_canary_can_be_rolled_back() -> None:
    state, _ = then(begun(), replace(CANARY, steps=(50.0,)))
    state, stated = then(state, step(1), 1)
    assert isinstance(stated[0], Promoted)
    state, stated = then(state, RollBack(), 1)
    assert state.traffic == traffic(1, (2, 50.0))
    assert [type(one) for one in domain.decide(state, RollBack())] == [RolledBack]
    assert isinstance(domain.decide(state, SetTraffic(traffic(1), facts(1)))[0], TrafficChanged)
    assert isinstance(domain.decide(state, CANARY)[0], CanaryStarted)
