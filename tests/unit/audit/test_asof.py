"""Which edges hold at a time, as it was known at another."""

from services.audit.projection.asof import holding
from shared.events import deployer, registry
from tests.unit.audit.facts import changed, day, deployed, event, folded, stored, traffic


def rows(*events):
    return folded(stored(one, offset=number) for number, one in enumerate(events))["edges"]


def roles(facts, at, known):
    return {(row["role"], row["dst"].rpartition("@")[2]) for row in holding(facts, day(at), day(known))}


DEPLOYED = event(1, deployed(1), "deployment/late", 1, happened=1)
CANARY = event(2, changed(traffic(1), traffic(1, 2)), "deployment/late", 2, happened=3)
PROMOTED = event(
    3,
    deployer.Promoted(deployment="late", model="flights", before=traffic(1, 2), after=traffic(2)),
    "deployment/late",
    3,
    happened=5,
)
RETIRED = event(
    4, deployer.Retired(deployment="late", model="flights", before=traffic(2)), "deployment/late", 4, happened=9
)


def test_nothing_holds_before_it_was_said():
    assert roles(rows(DEPLOYED), at=0.5, known=20) == set()
    assert roles(rows(DEPLOYED), at=20, known=0.5) == set()


def test_traffic_at_each_time():
    facts = rows(DEPLOYED, CANARY, PROMOTED, RETIRED)
    assert roles(facts, 2, 20) == {("champion", "1")}
    assert roles(facts, 4, 20) == {("champion", "1"), ("challenger", "2")}
    assert roles(facts, 6, 20) == {("champion", "2")}
    assert roles(facts, 10, 20) == set()


def test_what_was_known_then_does_not_know_what_came_later():
    facts = rows(DEPLOYED, CANARY, PROMOTED)
    assert roles(facts, 6, known=4) == {("champion", "1"), ("challenger", "2")}


def test_a_backdated_statement_holds_from_its_time_but_only_for_those_who_know_it():
    late = event(2, changed(traffic(1), traffic(3)), "deployment/late", 2, happened=2, recorded=8)
    facts = rows(DEPLOYED, late)
    assert roles(facts, at=4, known=7) == {("champion", "1")}
    assert roles(facts, at=4, known=8) == {("champion", "3")}
    assert roles(facts, at=1.5, known=8) == {("champion", "1")}


def test_a_later_statement_about_an_earlier_time_overrules_all_since_as_the_stream_does():
    late = event(4, changed(traffic(2), traffic(3)), "deployment/late", 4, happened=2, recorded=8)
    facts = rows(DEPLOYED, CANARY, PROMOTED, late)
    assert roles(facts, at=6, known=7) == {("champion", "2")}
    assert roles(facts, at=6, known=9) == {("champion", "3")}
    assert roles(facts, at=2.5, known=9) == {("champion", "3")}


def test_an_alias_is_in_one_place_and_several_aliases_do_not_disturb_each_other():
    def moved(number, alias, before, after):
        payload = registry.AliasMoved(model="flights", alias=alias, before=before, after=after)
        return event(number, payload, "model/flights", number, happened=number)

    facts = rows(moved(1, "a", None, 1), moved(2, "b", None, 1), moved(3, "a", 1, 2), moved(4, "b", 1, None))
    assert roles(facts, 2.5, 9) == {("a", "1"), ("b", "1")}
    assert roles(facts, 3.5, 9) == {("a", "2"), ("b", "1")}
    assert roles(facts, 4.5, 9) == {("a", "2")}


def test_what_is_said_once_holds_on_and_is_told_once():
    goal = registry.ApprovalGranted(model="flights", version=1, approval="a", role="risk_manager")
    said = [event(number, goal, "model/flights", number, happened=number) for number in (1, 2)]
    (row,) = holding(rows(*said), day(9), day(9))
    assert row["valid_at"] == day(1)
