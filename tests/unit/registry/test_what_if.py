"""History under a proposed policy: what it would have stopped, what it would have let through, and why."""

from datetime import UTC, datetime, timedelta

from services.registry.domain.gate import OpenFlag
from services.registry.domain.what_if import FlagSpan, Release, openings_under, releases_under
from shared.events.envelope import Event, Payload
from shared.events.registry import EvidenceRecorded, GateChanged, PolicyAdopted, Rule
from tests.unit.registry.test_models import GOOD, MODEL, VERSION, YES

AT = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OPEN = GateChanged(
    model="m",
    version=1,
    stage="production",
    allowed=True,
    rules=(Rule(rule="r", passed=True, reason="."),),
    policy_version=3,
)
PLAIN = PolicyAdopted(stage="production", version=4, evidence=("quality",), approvals=("risk_manager",))
STALE = PLAIN.model_copy(update={"evidence_days": 10})
SECURE = PLAIN.model_copy(update={"evidence": ("quality", "security")})
SECURITY = EvidenceRecorded(model="m", version=1, evidence="e8", kind="security", name="scan", passed=True)


def events(*said: tuple[Payload, str, int]) -> list[Event]:
    return [
        Event(f"event-{place}", "/x", "model/m", AT + day * DAY, place, actor, fact)
        for place, (fact, actor, day) in enumerate(said, 1)
    ]


STORY = events(
    (MODEL, "dan", 0), (VERSION, "dan", 0), (GOOD, "dan", 1), (YES, "rita", 2), (OPEN, "rita", 2), (SECURITY, "sue", 20)
)


def release(day: int, version: int = 1) -> Release:
    return Release(f"r{day}", "late", version, AT + day * DAY, "devi")


def stopped(policy: PolicyAdopted, *releases: Release, flags: tuple[FlagSpan, ...] = ()) -> dict[str, list[str]]:
    return {
        one.release.event: [rule.rule for rule in one.now.rules if not rule.passed]
        for one in releases_under(policy, STORY, releases, flags)
        if not one.now.allowed
    }


def test_a_release_is_judged_as_of_its_day() -> None:
    assert stopped(PLAIN, release(3), release(30)) == {}
    assert stopped(PLAIN, release(1)) == {"r1": ["approval-risk_manager"]}
    assert stopped(SECURE, release(3), release(30)) == {"r3": ["evidence-security"]}
    assert stopped(STALE, release(3), release(30)) == {"r30": ["evidence-quality"]}


def test_flags_count_while_they_were_open_only() -> None:
    span = FlagSpan(OpenFlag("f", "m", 1, "critical"), AT + 4 * DAY, AT + 6 * DAY)
    policy = PLAIN.model_copy(update={"flags": "critical"})
    assert stopped(policy, release(3), release(5), release(6), flags=(span,)) == {"r5": ["no-critical-flags"]}


def test_each_verdict_knows_how_the_gate_stood_then_and_unknown_versions_are_left_out() -> None:
    [one] = releases_under(SECURE, STORY, [release(3), release(4, version=9)], ())
    assert one.then is not None
    assert (one.then.allowed, one.then.policy) == (True, 3)


def test_versions_that_would_have_been_kept_out_or_let_through() -> None:
    [one] = openings_under(SECURE, STORY, (), AT + 10 * DAY)
    assert (one.on_record, one.proposed) == (AT + 2 * DAY, None)
    assert [rule.rule for rule in one.last.rules if not rule.passed] == ["evidence-security"]
    [later] = openings_under(SECURE, STORY, (), AT + 30 * DAY)
    assert later.proposed == AT + 20 * DAY
    loose = PLAIN.model_copy(update={"approvals": ()})
    never = events((MODEL, "dan", 0), (VERSION, "dan", 0), (GOOD, "dan", 1))
    [through] = openings_under(loose, never, (), AT + 30 * DAY)
    assert (through.on_record, through.proposed) == (None, AT + DAY)


def test_what_was_told_late_holds_from_when_it_was_told() -> None:
    late = [*STORY[:2], *events((GOOD, "dan", 1), (YES, "rita", 9), (SECURITY, "sue", 3))]
    verdicts = releases_under(SECURE, late, [release(5), release(9)], ())
    assert [one.now.allowed for one in verdicts] == [False, True]
