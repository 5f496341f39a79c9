"""Each finding comes from its own facts and from nothing else."""

import pytest

from services.audit.reports.facts import Fact
from services.audit.reports.sections.findings import ranked
from tests.unit.audit.reports.given import approved, deployed, evidence, fact, facts_of, registered, version

VERIFIED = fact(90, "VerificationCompleted", {"outcome": "equal", "first_difference": None, "events": 1, "rows": 1}, 50)
SOUND = (registered(), version(1), evidence(1, 40), approved(1, "rita", 41), deployed(1), VERIFIED)


def texts(*facts: Fact) -> list[tuple[str, str]]:
    return [(one.severity, one.text) for one in ranked(facts_of(*facts))]


def test_a_sound_model_has_none():
    assert texts(*SOUND) == []


def without(fact_: Fact) -> list[Fact]:
    return [one for one in SOUND if one is not fact_]


@pytest.mark.parametrize(
    ("facts", "severity", "words"),
    [
        (without(SOUND[3]), "high", "Version 1 answers in d without an approval on record."),
        (
            [*SOUND, evidence(1, 60, passed=False, happened=3)],
            "high",
            "The newest result of auc for version 1 is a failure.",
        ),
        (
            [*without(SOUND[3]), approved(1, "dan", 61)],
            "high",
            "dan registered version 1 and approved it; nobody else did.",
        ),
        ([*SOUND, approved(1, "dan", 61)], "low", "dan registered version 1 and approved it; others approved it too."),
        (
            [*without(SOUND[2]), evidence(1, 62, actor="dan")],
            "medium",
            "All evidence of version 1 was recorded by dan, who registered the version.",
        ),
        (without(VERIFIED), "low", "No verification of the record against its log is on record for this moment."),
    ],
)
def test_each_cause_has_its_finding(facts: list[Fact], severity: str, words: str):
    assert texts(*facts) == [(severity, words)]


def test_a_failure_that_was_mended_is_no_finding():
    assert texts(*SOUND, evidence(1, 60, passed=False, happened=3), evidence(1, 61, happened=4)) == []


def test_a_closed_gate_of_what_answers():
    rules = [{"rule": "four-eyes", "passed": False, "reason": "", "evidence": []}]
    gate = fact(70, "GateChanged", {"version": 1, "stage": "production", "allowed": False, "rules": rules}, 9)
    expected = "Version 1 answers in d, and its gate for production is closed: four-eyes."
    assert texts(*SOUND, gate) == [("high", expected)]
    opened = fact(71, "GateChanged", {"version": 1, "stage": "production", "allowed": True, "rules": []}, 10)
    assert texts(*SOUND, gate, opened) == []


def test_a_verification_that_differed():
    data = {"outcome": "different", "first_difference": "ledger x", "events": 1, "rows": 1}
    found = texts(*SOUND, fact(80, "VerificationCompleted", data, 40))
    assert found == [("high", "A replay of the log differed from the views on 2013-02-10 00:00 UTC: ledger x")]


def test_what_was_recorded_late_is_told():
    late = fact(81, "AliasMoved", {"alias": "best", "before": None, "after": 1, "model": "m"}, 3, recorded=13)
    ((severity, words),) = texts(*SOUND, late)
    assert severity == "low"
    assert words.startswith("1 event was recorded more than a minute after the stated time of happening")
    assert "the farthest by 10 days" in words
