"""Given a version that may go to production, when one thing is otherwise, then that rule alone closes the gate."""

from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

import pytest

from shared.events.registry import (
    ApprovalRejected,
    EvidenceKind,
    FlagSeverity,
    ModelRetired,
    PolicyInput,
    PolicyRow,
    PolicyTable,
    VersionRetired,
)
from tests.unit.registry.test_models import GOOD, MODEL, YES
from tests.unit.registry.test_policies import AT, CONDITIONAL, CRITICAL, DAY, STRICT, Said, failed, judged, story


@pytest.mark.parametrize(
    ("said", "at", "flags", "rule"),
    [
        ([(MODEL.model_copy(update={"goal": None}), "dan", AT), *story(GOOD, YES)[1:]], AT + DAY, (), "goal-stated"),
        (story(YES), AT + DAY, (), "evidence-quality"),
        (story(GOOD.model_copy(update={"passed": False}), YES), AT + DAY, (), "evidence-quality"),
        (story(GOOD, YES), AT + 30 * DAY, (), "evidence-quality"),
        (story(GOOD), AT + DAY, (), "approval-risk_manager"),
        (story(GOOD, YES.model_copy(update={"expires": AT + DAY})), AT + DAY, (), "approval-risk_manager"),
        ([*story(YES), (GOOD, "dan", AT + 55 * DAY)], AT + 60 * DAY, (), "approval-risk_manager"),
        (story(GOOD, YES, actor="dan"), AT + DAY, (), "four-eyes"),
        (
            story(GOOD, YES, ApprovalRejected(model="m", version=1, approval="a9", role="auditor")),
            AT + DAY,
            (),
            "not-rejected",
        ),
        (story(GOOD, CONDITIONAL), AT + DAY, (), "conditions-met"),
        (story(GOOD, YES), AT + DAY, (CRITICAL,), "no-critical-flags"),
        (story(GOOD, YES), AT + DAY, (replace(CRITICAL, version=None),), "no-critical-flags"),
        (story(GOOD, YES, VersionRetired(model="m", version=1, reason="old")), AT + DAY, (), "not-retired"),
        (story(GOOD, YES, ModelRetired(model="m", reason="old")), AT + DAY, (), "not-retired"),
    ],
)
def test_each_rule_alone_closes_it(said: list[Said], at: datetime, flags: Any, rule: str) -> None:
    assert failed(judged(STRICT, said, at, *flags)) == [rule]


@pytest.mark.parametrize("kind", get_args(EvidenceKind))
def test_evidence_of_each_kind_alone_closes_it(kind: EvidenceKind) -> None:
    kinds: tuple[EvidenceKind, ...] = get_args(EvidenceKind)
    said = [GOOD.model_copy(update={"kind": one, "evidence": f"e-{one}"}) for one in kinds]
    policy = STRICT.model_copy(update={"evidence": kinds})
    assert failed(judged(policy, story(*said, YES))) == []
    assert failed(judged(policy, story(*(one for one in said if one.kind != kind), YES))) == [f"evidence-{kind}"]


@pytest.mark.parametrize("severity", get_args(FlagSeverity))
def test_a_flag_of_each_severity_alone_closes_it(severity: FlagSeverity) -> None:
    policy = STRICT.model_copy(update={"flags": severity})
    flag = replace(CRITICAL, severity=severity)
    assert failed(judged(policy, story(GOOD, YES), AT + DAY, flag)) == [f"no-{severity}-flags"]


def test_a_table_that_is_about_nothing_closes_the_gate_alone() -> None:
    table = PolicyTable(inputs=(PolicyInput(name="risk_tier"),), rows=(PolicyRow(when={"risk_tier": '"low"'}),))
    assert failed(judged(STRICT.model_copy(update={"table": table}), story(GOOD, YES))) == ["policy-table"]
