"""Given a model's history, when somebody says more, then these facts follow, and the gate with them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.registry.domain import models, policies
from services.registry.domain.gate import evaluate
from services.registry.domain.model_state import ModelState, after, initial
from services.registry.projection import project
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import (
    AliasMoved,
    ApprovalGranted,
    ApprovalRejected,
    Artifact,
    EvidenceRecorded,
    Field,
    GateChanged,
    ModelRegistered,
    ModelVersionRegistered,
    Signature,
)
from shared.log.tables import Put

AT = datetime(2013, 4, 1, tzinfo=UTC)
MODEL = ModelRegistered(model="m", goal="g", owner="dan")
VERSION = ModelVersionRegistered(
    model="m",
    version=1,
    artifact=Artifact(uri="file:///m.onnx", sha256="ab" * 32),
    signature=Signature(inputs=(Field(name="x", type="double"),), outputs=(Field(name="p", type="double"),)),
)
GOOD = EvidenceRecorded(model="m", version=1, evidence="e1", kind="quality", name="auc", passed=True)
YES = ApprovalGranted(model="m", version=1, approval="a1", role="risk_manager")
NO = ApprovalRejected(model="m", version=1, approval="a2", role="risk_manager")

Said = tuple[Payload, str]
OPEN: tuple[Said, ...] = ((MODEL, "dan"), (VERSION, "dan"), (GOOD, "dan"), (YES, "rita"))


def state_of(*said: Said) -> ModelState:
    state = initial
    for place, (fact, actor) in enumerate(said):
        state = after(state, fact, actor, f"event-{place}", AT)
    return state


def closed_by(*said: Said) -> list[str]:
    state = state_of(*said)
    gate = evaluate(policies.DEFAULTS["production"], state, state.versions[1])
    failed = [rule.rule for rule in gate.rules if not rule.passed]
    assert gate.allowed == (not failed)
    return failed


def test_the_gate_is_open_when_every_rule_holds() -> None:
    assert closed_by(*OPEN) == []


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (((MODEL.model_copy(update={"goal": None}), "dan"), *OPEN[1:]), "goal-stated"),
        ((*OPEN[:2], OPEN[3]), "evidence-quality"),
        ((*OPEN, (GOOD.model_copy(update={"evidence": "e2", "passed": False}), "dan")), "evidence-quality"),
        (OPEN[:3], "approval-risk_manager"),
        ((*OPEN[:3], (YES, "dan")), "four-eyes"),
        ((*OPEN, (NO.model_copy(update={"role": "auditor"}), "otto")), "not-rejected"),
    ],
)
def test_each_rule_alone_closes_it(said: tuple[Said, ...], rule: str) -> None:
    assert closed_by(*said) == [rule]


def test_later_evidence_of_the_same_name_and_a_later_approval_open_it_again() -> None:
    failed = GOOD.model_copy(update={"evidence": "e2", "passed": False})
    mended = GOOD.model_copy(update={"evidence": "e3"})
    again = YES.model_copy(update={"approval": "a3"})
    assert closed_by(*OPEN, (failed, "dan"), (mended, "dan")) == []
    assert closed_by(*OPEN, (NO, "rita")) == ["approval-risk_manager", "not-rejected"]
    assert closed_by(*OPEN, (NO, "rita"), (again, "rita")) == []


def register(**changes: object) -> models.RegisterVersion:
    given = VERSION.model_copy(update=changes)
    return models.RegisterVersion(given, None, 100, "dan", "event-9", policies.DEFAULTS)


def test_versions_count_from_one_and_follow_their_branch() -> None:
    [first, *gates] = models.decide(state_of((MODEL, "dan")), register())
    assert isinstance(first, ModelVersionRegistered)
    assert (first.version, first.parents) == (1, ())
    assert all(isinstance(gate, GateChanged) and not gate.allowed for gate in gates)
    [second, *_] = models.decide(state_of(*OPEN), register())
    assert isinstance(second, ModelVersionRegistered)
    assert (second.version, second.parents) == (2, (1,))
    [branched, *_] = models.decide(state_of(*OPEN), register(branch="try"))
    assert isinstance(branched, ModelVersionRegistered)
    assert (branched.version, branched.parents) == (2, ())


def test_the_decision_that_opens_the_gate_says_so() -> None:
    state = state_of(*OPEN[:3])
    closed = evaluate(policies.DEFAULTS["production"], state, state.versions[1])
    said = GateChanged(model="m", version=1, stage="production", allowed=closed.allowed, rules=closed.rules)
    state = after(state, said, "dan", "event-8")
    facts = models.decide(state, models.Speak(YES, "rita", {"production": policies.DEFAULTS["production"]}))
    assert facts[0] == YES
    [opened] = facts[1:]
    assert isinstance(opened, GateChanged)
    assert opened.allowed


@pytest.mark.parametrize(
    ("given", "when", "code", "status"),
    [
        ((), register(), "unknown-model", 404),
        (OPEN[:1], models.RecordEvidence(GOOD, "dan", policies.DEFAULTS), "unknown-version", 404),
        (OPEN[:1], register(branch="a b"), "bad-name", 422),
        (OPEN[:1], register(artifact=Artifact(uri="file:///x", sha256="12")), "bad-sha256", 422),
        (OPEN[:1], register(reference={"y": (1.0,)}), "unknown-feature", 422),
        (OPEN[:1], register(reference={"x": (1.0,) * 101}), "reference-too-large", 422),
        (OPEN[:1], register(reference={"x": ("one",)}), "wrong-type", 422),
        (OPEN[:1], register(params={"C": float("nan")}), "not-plain", 422),
        (OPEN[:1], replace(register(), parents=(7,)), "unknown-version", 404),
        (OPEN, models.MoveAlias("champion", 9), "unknown-version", 404),
        (OPEN, models.MoveAlias("9", 1), "bad-name", 422),
        (OPEN, models.RegisterModel(MODEL.model_copy(update={"owner": "eve"})), "already-registered", 409),
    ],
)
def test_what_is_refused(given: tuple[Said, ...], when: models.Command, code: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        models.decide(state_of(*given), when)
    assert (refused.value.code, refused.value.status) == (code, status)


def test_an_alias_keeps_where_it_came_from_and_the_same_again_says_nothing() -> None:
    moved = AliasMoved(model="m", alias="champion", before=None, after=1, reason="first")
    assert models.decide(state_of(*OPEN), models.MoveAlias("champion", 1, "first")) == [moved]
    assert models.decide(state_of(*OPEN, (moved, "dan")), models.MoveAlias("champion", 1)) == []
    taken = models.decide(state_of(*OPEN, (moved, "dan")), models.MoveAlias("champion", None))
    assert taken == [AliasMoved(model="m", alias="champion", before=1, after=None)]
    assert models.decide(state_of(*OPEN), models.RegisterModel(MODEL)) == []


@given(st.lists(st.sampled_from([GOOD, YES, NO, GOOD.model_copy(update={"passed": False})]), max_size=12))
def test_folding_events_is_folding_facts(facts: list[Payload]) -> None:
    said: list[Said] = [*OPEN[:2], *((fact, "rita") for fact in facts)]
    state = initial
    for place, (fact, actor) in enumerate(said):
        event = Event(f"event-{place}", "/muniment/registry", "model/m", AT, place + 1, actor, fact)
        state = models.evolve(state, event)
    assert state == state_of(*said)


def test_a_model_without_a_goal_says_it_once_and_its_gates_follow() -> None:
    none = MODEL.model_copy(update={"goal": None, "risk_tier": "high", "technique": "trees"})
    state = state_of((none, "dan"), *OPEN[1:])
    command = models.RegisterModel(MODEL, event_id="e", policies=policies.DEFAULTS)
    fact, *changes = models.decide(state, command)
    assert fact == none.model_copy(update={"goal": "g", "since": state.marks.created})
    assert {(one.stage, one.allowed) for one in changes if isinstance(one, GateChanged)} >= {("production", True)}
    then = after(state, fact, "dan", "e", AT)
    assert (then.marks, len(then.versions)) == (state.marks, 1)
    assert models.decide(then, models.RegisterModel(none.model_copy(update={"goal": "g"}))) == []
    for other in (MODEL.model_copy(update={"owner": "eve"}), MODEL.model_copy(update={"technique": "nets"})):
        with pytest.raises(Refused, match="registered with another"):
            models.decide(state, models.RegisterModel(other))
    with pytest.raises(Refused, match="another goal"):
        models.decide(then, models.RegisterModel(none.model_copy(update={"goal": "other"})))


def test_a_goal_said_later_leaves_the_row_of_a_model_its_time() -> None:
    later = Event("e2", "/muniment/registry", "model/m", AT.replace(year=2014), 2, "dan", MODEL)
    [change] = project(later)
    assert isinstance(change, Put)
    assert (change.row["at"], change.row["updated_at"]) == (later.time, later.time)
    [change] = project(structs.replace(later, data=MODEL.model_copy(update={"since": AT})))
    assert isinstance(change, Put)
    assert (change.row["at"], change.row["updated_at"]) == (AT, later.time)
