"""Given what was said of a decision, when it is said anew, then it is the next version, or it is refused."""

import pytest

from services.registry.domain import decisions
from shared.events.refusal import Refused
from shared.events.registry import DecisionModelled, Informing

HOLD = DecisionModelled(
    decision="hold", version=0, question="Hold it?", owner="ana", models=(Informing(model="late", how="p > 0.3"),)
)
DMN = """<?xml version="1.0"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" name="n" namespace="x">
 <decision id="hold" name="Hold the connection"/>
</definitions>"""


def decided(state: tuple[DecisionModelled, ...], given: DecisionModelled) -> list[DecisionModelled]:
    return [
        fact for fact in decisions.decide(state, decisions.ModelDecision(given)) if isinstance(fact, DecisionModelled)
    ]


def test_said_anew_it_is_the_next_version_and_the_same_says_nothing() -> None:
    [first] = decided((), HOLD)
    assert first.version == 1
    assert decided((first,), HOLD) == []
    [second] = decided((first,), HOLD.model_copy(update={"question": "Hold it longer?"}))
    assert second.version == 2


def test_a_decision_model_is_kept_with_its_digest() -> None:
    [stated] = decided((), HOLD.model_copy(update={"dmn": DMN}))
    assert (stated.dmn, len(stated.dmn_sha256)) == (DMN, 64)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"decision": "a b"}, "bad-name"),
        ({"requires": ("hold",)}, "bad-decision"),
        ({"models": (Informing(model="late"), Informing(model="late"))}, "bad-decision"),
        ({"dmn": "<definitions"}, "bad-dmn"),
        ({"dmn": "<definitions/>"}, "bad-dmn"),
        ({"dmn": DMN.replace('"hold"', '"let-go"')}, "bad-dmn"),
        ({"dmn": DMN.replace("<definitions", '<!DOCTYPE d [<!ENTITY a "aa">]><definitions', 1)}, "bad-dmn"),
    ],
)
def test_what_is_refused(change: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        decided((), HOLD.model_copy(update=change))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("requires", "required", "way"),
    [
        (("hold",), {}, "hold → hold"),
        (("staff", "rebook"), {"staff": (), "rebook": ("seat",), "seat": ("hold",)}, "hold → rebook → seat → hold"),
    ],
)
def test_a_decision_never_rests_on_itself(
    requires: tuple[str, ...], required: dict[str, tuple[str, ...]], way: str
) -> None:
    given = HOLD.model_copy(update={"requires": requires})
    with pytest.raises(Refused) as refused:
        decisions.decide((), decisions.ModelDecision(given, required))
    assert (refused.value.code, way in refused.value.detail) == ("bad-decision", True)


def test_two_ways_to_one_decision_are_no_cycle() -> None:
    given = HOLD.model_copy(update={"requires": ("rebook", "seat")})
    required = {"rebook": ("seat",), "seat": ("gate",), "gate": ()}
    assert decisions.decide((), decisions.ModelDecision(given, required))
