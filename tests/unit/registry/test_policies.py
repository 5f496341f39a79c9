"""Policies: tables, four eyes, exceptions, and what they demand over time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.registry.domain import models, policies
from services.registry.domain.exempting import Ease
from services.registry.domain.gate import InForce, OpenFlag, Seen, evaluate
from services.registry.domain.model_state import Gate, ModelState, after, initial
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import (
    ApprovalGranted,
    ConditionMet,
    EvidenceRecorded,
    ExceptionGranted,
    ExceptionWithdrawn,
    GateChanged,
    ModelRegistered,
    PolicyAdopted,
    PolicyDeclined,
    PolicyInput,
    PolicyProposed,
    PolicyRow,
    PolicyTable,
)
from tests.unit.registry.test_models import GOOD, MODEL, VERSION, YES

AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
STRICT = PolicyAdopted(
    stage="production",
    version=1,
    evidence=("quality",),
    approvals=("risk_manager",),
    evidence_days=30,
    approval_days=60,
    flags="critical",
    conditions_met=True,
)
TIERS = PolicyTable(
    inputs=(PolicyInput(name="tier", expression="risk_tier"), PolicyInput(name="task")),
    rows=(
        PolicyRow(evidence=("quality",), evidence_days=90),
        PolicyRow(when={"tier": '"medium", "high"'}, approvals=("risk_manager",), flags="critical", four_eyes=True),
        PolicyRow(when={"tier": '"high"'}, evidence=("security",), approvals=("auditor",), flags="high"),
    ),
)
CONDITIONAL = YES.model_copy(update={"approval": "a5", "conditions": ("watch drift",)})

Said = tuple[Payload, str, datetime]


def story(*said: Payload, actor: str = "rita") -> list[Said]:
    return [(MODEL, "dan", AT), (VERSION, "dan", AT), *((fact, actor, AT) for fact in said)]


def folded(said: list[Said]) -> ModelState:
    state = initial
    for place, (fact, actor, at) in enumerate(said):
        state = after(state, fact, actor, f"event-{place}", at)
    return state


def judged(policy: PolicyAdopted, said: list[Said], at: datetime = AT + DAY, *flags: OpenFlag) -> Gate:
    state = folded(said)
    return evaluate(policy, state, models.version_of(state, 1), Seen(at, flags))


def failed(gate: Gate) -> list[str]:
    found = [rule.rule for rule in gate.rules if not rule.passed]
    assert gate.allowed == (not found)
    return found


CRITICAL = OpenFlag("f1", "m", 1, "critical")


def test_a_strict_gate_is_open_when_every_rule_holds_and_says_until_when() -> None:
    gate = judged(STRICT, story(GOOD, YES))
    assert (failed(gate), gate.until) == ([], AT + 30 * DAY)


def test_flags_of_others_and_lesser_ones_block_nothing() -> None:
    others = (replace(CRITICAL, model="n"), replace(CRITICAL, version=2), replace(CRITICAL, severity="high"))
    assert failed(judged(STRICT, story(GOOD, YES), AT + DAY, *others)) == []


def test_a_condition_that_was_met_opens_it() -> None:
    met = ConditionMet(model="m", version=1, approval="a5", condition="watch drift")
    assert failed(judged(STRICT, story(GOOD, CONDITIONAL, met))) == []


@pytest.mark.parametrize(
    ("tier", "rules"),
    [
        ("low", {"evidence-quality"}),
        ("medium", {"evidence-quality", "approval-risk_manager", "four-eyes", "not-rejected", "no-critical-flags"}),
        (
            "high",
            {
                *("evidence-quality", "evidence-security", "approval-risk_manager", "approval-auditor", "four-eyes"),
                *("not-rejected", "no-high-flags"),
            },
        ),
    ],
)
def test_a_table_demands_by_risk_tier(tier: Any, rules: set[str]) -> None:
    policy = PolicyAdopted(
        stage="production", version=1, evidence=(), approvals=(), four_eyes=False, goal_required=False, table=TIERS
    )
    said = [(ModelRegistered(model="m", owner="dan", risk_tier=tier), "dan", AT), (VERSION, "dan", AT)]
    gate = judged(policy, said)
    assert {rule.rule for rule in gate.rules} == rules


def test_a_first_hit_stops_and_a_unique_one_must_be_alone() -> None:
    first = PolicyAdopted(
        stage="staging",
        version=1,
        evidence=(),
        approvals=(),
        goal_required=False,
        table=TIERS.model_copy(update={"hit": "first"}),
    )
    assert [rule.rule for rule in judged(first, story()).rules] == ["evidence-quality"]
    unique = first.model_copy(update={"table": TIERS.model_copy(update={"hit": "unique"})})
    assert "policy-table" in failed(judged(unique, story()))


@pytest.mark.parametrize(
    ("cell", "holds"),
    [
        ('"low", "medium"', True),
        ('not("high")', True),
        ('not("medium", "low")', False),
        ("-", True),
        ('!= "high"', True),
        ("null", False),
    ],
)
def test_cells_say_what_dmn_says(cell: str, holds: bool) -> None:
    table = PolicyTable(inputs=(PolicyInput(name="risk_tier"),), rows=(PolicyRow(when={"risk_tier": cell}),))
    policy = STRICT.model_copy(update={"table": table})
    assert ("policy-table" not in failed(judged(policy, story(GOOD, YES)))) == holds


def exception(rule: str, days: int = 10, reason: str = "storm") -> ExceptionGranted:
    return ExceptionGranted(
        model="m",
        version=1,
        exception="x1",
        stage="production",
        rule=rule,
        role="risk_manager",
        reason=reason,
        expires=AT + days * DAY,
    )


def test_an_exception_lets_one_rule_pass_for_its_time_and_no_longer() -> None:
    said = story(YES, exception("evidence-quality"))
    gate = judged(STRICT, said)
    [excepted] = [rule for rule in gate.rules if rule.exception]
    assert "UTC: storm. Without it: There is no" in excepted.reason
    assert (failed(gate), excepted.rule, gate.until) == ([], "evidence-quality", AT + 10 * DAY)
    assert "There is no evidence of quality yet" in excepted.reason
    assert failed(judged(STRICT, said, AT + 10 * DAY)) == ["evidence-quality"]
    withdrawn = ExceptionWithdrawn(model="m", version=1, exception="x1", reason="over")
    assert failed(judged(STRICT, [*said, (withdrawn, "rita", AT)])) == ["evidence-quality"]


@pytest.mark.parametrize(
    ("fact", "actor", "code"),
    [
        (exception("evidence-quality"), "dan", "four-eyes"),
        (exception("four-eyes"), "rita", "bad-exception"),
        (exception("evidence-luck"), "rita", "bad-exception"),
        (exception("evidence-quality", 91), "rita", "bad-exception"),
        (exception("evidence-quality", 0), "rita", "bad-exception"),
        (exception("evidence-quality", reason=" "), "rita", "bad-exception"),
        (ExceptionWithdrawn(model="m", version=1, exception="x", reason="over"), "rita", "unknown-exception"),
        (ConditionMet(model="m", version=1, approval="a5", condition="other"), "rita", "unknown-condition"),
        (ConditionMet(model="m", version=1, approval="a5", condition="watch drift"), "dan", "four-eyes"),
    ],
)
def test_what_eases_a_gate_is_refused(fact: Any, actor: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        models.decide(folded(story(CONDITIONAL)), Ease(fact, actor, AT, 90, InForce({"production": STRICT}, Seen(AT))))
    assert refused.value.code == code


def test_the_gate_follows_an_exception_in_the_same_decision() -> None:
    in_force = InForce({"production": STRICT}, Seen(AT + DAY))
    command = Ease(exception("evidence-quality"), "rita", AT + DAY, 90, in_force)
    granted, gate = models.decide(folded(story(YES)), command)
    assert isinstance(granted, ExceptionGranted)
    assert isinstance(gate, GateChanged)
    assert (gate.allowed, gate.policy_version, gate.until) == (True, 1, AT + 10 * DAY)


def said_of(state: policies.PolicyState, fact: Payload, actor: str) -> policies.PolicyState:
    return policies.evolve(state, Event("e", "/x", "policy/production", AT, 1, actor, fact))


def test_two_people_change_a_policy_and_the_author_is_not_both() -> None:
    guarded = STRICT.model_copy(update={"two_to_change": True})
    state = said_of(policies.initial, guarded, "rita")
    looser = policies.AdoptPolicy(guarded.model_copy(update={"flags": None, "two_to_change": False}), "p1")
    [proposed] = policies.decide(state, looser)
    assert isinstance(proposed, PolicyProposed)
    state = said_of(state, proposed, "rita")
    with pytest.raises(Refused, match="somebody else"):
        policies.decide(state, policies.DecideProposal("production", "p1", True, "rita"))
    [adopted] = policies.decide(state, policies.DecideProposal("production", "p1", True, "otto"))
    assert isinstance(adopted, PolicyAdopted)
    assert (adopted.version, adopted.proposed_by, adopted.flags) == (2, "rita", None)
    assert said_of(state, adopted, "otto").proposals == {}
    [declined] = policies.decide(state, policies.DecideProposal("production", "p1", False, "rita"))
    assert isinstance(declined, PolicyDeclined)
    stale = said_of(said_of(said_of(policies.initial, STRICT, "rita"), proposed, "rita"), adopted.model_copy(), "otto")
    with pytest.raises(Refused) as refused:
        policies.decide(
            replace(stale, proposals=state.proposals), policies.DecideProposal("production", "p1", True, "eve")
        )
    assert refused.value.code == "stale-proposal"
    with pytest.raises(Refused) as refused:
        policies.decide(state, policies.DecideProposal("production", "p9", True, "otto"))
    assert refused.value.code == "unknown-proposal"


@pytest.mark.parametrize(
    "row",
    [
        PolicyRow(when={"color": '"red"'}),
        PolicyRow(when={"tier": "high"}),
        PolicyRow(when={"tier": '"high'}),
        PolicyRow(evidence_days=0),
    ],
)
def test_a_table_that_cannot_be_meant_so_is_refused(row: PolicyRow) -> None:
    policy = STRICT.model_copy(update={"table": TIERS.model_copy(update={"rows": (row,)})})
    with pytest.raises(Refused) as refused:
        policies.decide(policies.initial, policies.AdoptPolicy(policy))
    assert refused.value.code == "bad-table"


def test_judging_is_the_same_again() -> None:
    policy = STRICT.model_copy(update={"table": TIERS})
    said = story(
        GOOD, YES, EvidenceRecorded(model="m", version=1, evidence="e7", kind="security", name="s", passed=True)
    )
    assert judged(policy, said, AT, CRITICAL) == judged(policy, said, AT, CRITICAL)
    later = ApprovalGranted(model="m", version=1, approval="a7", role="auditor", expires=AT + 3 * DAY)
    assert judged(policy, [*said, (later, "otto", AT)]).until == AT + 30 * DAY
