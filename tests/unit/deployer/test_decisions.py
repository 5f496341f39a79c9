"""Every rule of a deployment: given what happened, when commanded, then facts or a refusal."""

import pytest

from services.deployer.domain import Command, Facts, Promote, Retire, RollBack, SetTraffic, State, decide, initial
from shared.events.deployer import Deployed, Promoted, Retired, RolledBack, Runtime, Traffic, TrafficChanged
from shared.events.refusal import Refused
from tests.unit.deployer.given import CLOSED, after, artifact, deploy, deployed, facts, state, traffic

ALL = facts(1, 2, 3)
CANARY = traffic(1, (2, 10.0))


def changed(before: Traffic, to: Traffic) -> TrafficChanged:
    return TrafficChanged(deployment="late", model="late-flights", before=before, after=to)


def refusal(given: State, command: Command) -> Refused:
    with pytest.raises(Refused) as caught:
        decide(given, command)
    return caught.value


def test_a_deployment_begins_with_its_version_as_champion() -> None:
    assert decide(initial, deploy()) == [deployed()]


def test_a_deployment_names_the_artifact_it_serves() -> None:
    [fact] = decide(initial, deploy(version=2))
    assert isinstance(fact, Deployed)
    assert fact.artifact == artifact(2)
    assert fact.traffic == traffic(2)


def test_an_unknown_version_is_refused_with_those_nearby() -> None:
    refused = refusal(initial, deploy(version=9))
    assert (refused.code, refused.status, refused.extra["nearby"]) == ("unknown-version", 404, [3, 2, 1])


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_closed_gate_refuses_and_tells_its_rules(environment: str) -> None:
    refused = refusal(initial, deploy(environment=environment, facts=facts(1, gates={1: CLOSED})))
    assert (refused.code, refused.status) == ("gate-closed", 409)
    assert refused.extra["versions"] == [1]
    assert refused.extra["rules"] == [{"version": 1} | CLOSED.rules[0].model_dump(mode="json")]


def test_a_gate_never_heard_of_is_closed() -> None:
    refused = refusal(initial, deploy(facts=facts(1, gates={1: None})))
    assert [rule["rule"] for rule in refused.extra["rules"]] == ["gate-known"]  # type: ignore[attr-defined]


def test_other_environments_have_no_gate() -> None:
    assert decide(initial, deploy(environment="test", facts=facts(1, gates={1: CLOSED})))


def test_an_artifact_elsewhere_cannot_run_in_process() -> None:
    elsewhere = facts(1, uri="external:sagemaker/x")
    assert refusal(initial, deploy(facts=elsewhere)).code == "artifact-elsewhere"
    assert decide(initial, deploy(kind="external", facts=elsewhere))


def test_the_same_deployment_again_changes_nothing() -> None:
    moved = state(deployed(), changed(traffic(1), CANARY))
    assert decide(moved, deploy(facts=facts(1, gates={1: CLOSED}))) == []


def test_the_same_name_with_other_content_is_refused() -> None:
    refused = refusal(state(deployed()), deploy(version=2, environment="staging"))
    assert (refused.code, refused.status) == ("deployment-exists", 409)
    assert refused.extra["differing"] == ["version", "environment"]


def test_traffic_is_changed() -> None:
    assert decide(state(deployed()), SetTraffic(CANARY, ALL)) == [changed(traffic(1), CANARY)]


def test_the_same_traffic_again_changes_nothing() -> None:
    assert decide(state(deployed(), changed(traffic(1), CANARY)), SetTraffic(CANARY, Facts())) == []


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (traffic(1, (2, 60.0), (3, 40.01)), "shares-over-100"),
        (traffic(1, (2, -1.0)), "bad-share"),
        (traffic(1, (2, 100.01)), "bad-share"),
        (traffic(1, (2, 0.001)), "bad-share"),
        (traffic(1, (1, 10.0)), "two-roles"),
        (traffic(1, (2, 10.0), (2, 10.0)), "two-roles"),
        (traffic(1, (2, 10.0), shadows=(2,)), "two-roles"),
    ],
)
def test_malformed_traffic_is_refused(wanted: Traffic, code: str) -> None:
    refused = refusal(state(deployed()), SetTraffic(wanted, ALL))
    assert (refused.code, refused.status) == (code, 422)


def test_challengers_may_have_all_of_it() -> None:
    assert decide(state(deployed()), SetTraffic(traffic(1, (2, 33.33), (3, 66.67)), ALL))


@pytest.mark.parametrize("wanted", [traffic(9), traffic(1, (9, 5.0)), traffic(1, shadows=(9,))])
def test_every_version_of_the_traffic_must_be_known(wanted: Traffic) -> None:
    assert refusal(state(deployed()), SetTraffic(wanted, ALL)).code == "unknown-version"


def test_the_gate_must_be_open_for_champion_and_challengers() -> None:
    closed = facts(1, 2, 3, gates={1: CLOSED, 3: CLOSED})
    refused = refusal(state(deployed()), SetTraffic(traffic(1, (2, 5.0), (3, 5.0)), closed))
    assert refused.extra["versions"] == [1, 3]
    assert refusal(state(deployed()), SetTraffic(traffic(1, (3, 0.0)), closed)).extra["versions"] == [1, 3]


def test_shadows_need_no_gate() -> None:
    assert decide(state(deployed()), SetTraffic(traffic(1, shadows=(2,)), facts(1, 2, gates={2: CLOSED})))


def test_who_stays_listed_without_a_share_needs_no_gate() -> None:
    given, _ = after(state(deployed()), SetTraffic(CANARY, ALL), Promote(None, ALL))
    closed = facts(1, 2, 3, gates={1: CLOSED})
    assert decide(given, SetTraffic(traffic(2, (1, 0.0), (3, 5.0)), closed))
    assert refusal(given, SetTraffic(traffic(2, (1, 1.0)), closed)).code == "gate-closed"


def test_sticky_by_is_the_entity_or_an_input() -> None:
    for name in ("entity", "delay"):
        assert decide(state(deployed()), SetTraffic(Traffic(champion=1, sticky_by=name), ALL))
    refused = refusal(state(deployed()), SetTraffic(Traffic(champion=1, sticky_by="dely"), ALL))
    assert (refused.code, refused.status, refused.extra["nearby"]) == ("unknown-sticky-by", 422, ["entity", "delay"])


def test_the_only_challenger_is_promoted_and_the_old_champion_stays_listed() -> None:
    given = state(deployed(), changed(traffic(1), traffic(1, (2, 10.0), shadows=(3,))))
    [fact] = decide(given, Promote(None, ALL, "won"))
    assert isinstance(fact, Promoted)
    assert fact.after == traffic(2, (1, 0.0), shadows=(3,))
    assert (fact.before, fact.reason) == (traffic(1, (2, 10.0), shadows=(3,)), "won")


def test_a_named_challenger_is_promoted_and_the_others_keep_their_share() -> None:
    given = state(deployed(), changed(traffic(1), traffic(1, (2, 10.0), (3, 20.0))))
    [fact] = decide(given, Promote(3, ALL))
    assert isinstance(fact, Promoted)
    assert fact.after == traffic(3, (2, 10.0), (1, 0.0))


@pytest.mark.parametrize(
    ("given", "version"),
    [
        (traffic(1), None),
        (traffic(1, (2, 10.0), (3, 10.0)), None),
        (traffic(1, (2, 0.0)), None),
        (traffic(1, (2, 10.0)), 3),
        (traffic(1, (2, 10.0), shadows=(3,)), 3),
        (traffic(1, (2, 10.0)), 1),
    ],
)
def test_who_is_no_challenger_is_not_promoted(given: Traffic, version: int | None) -> None:
    refused = refusal(state(deployed(), changed(traffic(1), given)), Promote(version, ALL))
    assert (refused.code, refused.status) == ("no-challenger", 409)


def test_a_gate_that_closed_since_forbids_the_promotion() -> None:
    given = state(deployed(), changed(traffic(1), CANARY))
    assert refusal(given, Promote(None, facts(1, 2, gates={2: CLOSED}))).extra["versions"] == [2]
    assert decide(given, Promote(None, facts(1, 2, gates={1: CLOSED})))


def test_a_rollback_returns_step_by_step_to_where_it_began() -> None:
    given, stated = after(state(deployed()), SetTraffic(CANARY, ALL), Promote(None, ALL), RollBack("worse"), RollBack())
    assert given.traffic == traffic(1)
    assert [fact.after for fact in stated if isinstance(fact, RolledBack)] == [CANARY, traffic(1)]
    assert refusal(given, RollBack()).code == "nothing-to-roll-back"


def test_nothing_to_roll_back_to() -> None:
    assert refusal(state(deployed()), RollBack()).status == 409


def test_a_deployment_is_retired_once() -> None:
    given, stated = after(state(deployed()), Retire("replaced"))
    assert stated == [Retired(deployment="late", model="late-flights", before=traffic(1), reason="replaced")]
    assert refusal(given, Retire()).code == "retired"


@pytest.mark.parametrize("command", [deploy(), SetTraffic(CANARY, ALL), Promote(None, ALL), RollBack(), Retire()])
def test_a_retired_deployment_takes_no_command(command: Command) -> None:
    given, _ = after(state(deployed()), SetTraffic(CANARY, ALL), Retire())
    refused = refusal(given, command)
    assert (refused.code, refused.status) == ("retired", 409)


@pytest.mark.parametrize("command", [SetTraffic(CANARY, ALL), Promote(None, ALL), RollBack(), Retire()])
def test_what_was_never_deployed_takes_no_command(command: Command) -> None:
    refused = refusal(initial, command)
    assert (refused.code, refused.status) == ("unknown-deployment", 404)


def test_the_runtime_is_kept() -> None:
    assert state(deployed(kind="v2")).runtime == Runtime(kind="v2")
