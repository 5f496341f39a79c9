"""The one model of a report: references, sets, gaps; the same from any order of the same facts."""

from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.reports import html
from services.audit.reports.build import inventory_report, model_report
from services.audit.reports.document import Part, Report, Row, Section, Statement, Table, document, gap
from services.audit.reports.facts import Fact, ordered
from services.audit.reports.sections.estate import entry
from tests.unit.audit.facts import day, event_id
from tests.unit.audit.reports.given import (
    approved,
    deployed,
    evidence,
    fact,
    facts_of,
    registered,
    version,
    window,
)

WHOLE = (
    registered(),
    version(1),
    version(2, "eve"),
    evidence(1, 40),
    approved(1, "rita", 41),
    deployed(1),
    *(window(100 + number, 1, 6 + number, quality={"auc": 0.6 + number / 100}, outcomes=5) for number in range(12)),
    window(200, 2, 6, drift=[{"feature": "x", "psi": 0.3}]),
)


def report(*blocks: Statement | Table, facts: dict[str, Fact] | None = None) -> Report:
    section = Section("s", "S", "source", blocks)
    return Report("model/m", "M", day(1), day(2), "http://x", (Part("p", "P", "", (section,)),), facts or {})


def test_events_are_numbered_in_the_order_in_which_they_are_read():
    made = document(report(Statement("a", (event_id(5),)), Statement("b", (event_id(3), event_id(5)))))
    first, second = made["parts"][0]["sections"][0]["blocks"]
    assert (first["refs"], second["refs"]) == (["E1"], ["E2", "E1"])
    assert [one["event_id"] for one in made["register"]["events"]] == [event_id(5), event_id(3)]
    assert made["register"]["events"][0]["url"] == f"http://x/v1/events/{event_id(5)}"


def test_many_events_are_one_set_with_the_digest_of_its_ids():
    ids = tuple(event_id(number) for number in range(20, 0, -1))
    made = document(report(Statement("a", ids), Statement("b", ids), Statement("c", ids[:9])))
    assert [block["refs"] for block in made["parts"][0]["sections"][0]["blocks"]] == [["S1"], ["S1"], ["S2"]]
    found = made["register"]["sets"][0]
    assert (found["count"], found["event_ids"]) == (20, list(ids))
    assert found["sha256"] == sha256("\n".join(sorted(ids)).encode()).hexdigest()


def test_gaps_are_counted_in_statements_and_rows():
    table = Table("t", ("a",), (Row(("x",)), Row(("Not on record",), gap=True)))
    assert document(report(gap("this."), table, Statement("fine")))["gaps"] == 2


@settings(max_examples=25, deadline=None)
@given(st.permutations(WHOLE))
def test_any_order_of_the_same_facts_gives_the_same_report(facts: list[Fact]):
    expected = document(model_report(facts_of(*WHOLE), "http://x"))
    assert document(model_report(facts_of(*facts), "http://x")) == expected


@settings(max_examples=25, deadline=None)
@given(st.permutations(WHOLE), st.integers(0, len(WHOLE)))
def test_facts_that_came_twice_change_nothing(facts: list[Fact], again: int):
    assert ordered([*facts, *facts[:again]]) == ordered(WHOLE)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(WHOLE)))
def test_any_part_of_the_record_makes_a_report(facts: list[Fact]):
    """What is missing becomes a gap, never an error."""
    made = document(model_report(facts_of(*facts), "http://x"))
    assert html.render(made)
    assert made["gaps"] > 10


def test_an_inventory_of_several_models():
    made = document(inventory_report([entry(facts_of(*WHOLE)), entry(facts_of(registered()))], facts_of(), "http://x"))
    (models,) = [one for one in made["parts"][0]["sections"] if one["name"] == "models"]
    assert "2 models, 1 in use" in models["blocks"][0]["text"]


@pytest.mark.parametrize("revision", [1, 2])
def test_a_later_revision_of_a_window_counts_alone(revision: int):
    late = window(300, 1, 6, revision=revision, quality={"auc": 0.9}, outcomes=7, said=40.0)
    facts = facts_of(*WHOLE, late)
    found = [
        one for one in facts.windows if one.data["version"] == 1 and one.data["window_start"] == day(6).isoformat()
    ]
    assert found == [late]


def test_traffic_is_that_of_the_last_word():
    after = {"champion": 2, "challengers": [{"version": 1, "percent": 10.0}], "shadows": []}
    moved = fact(31, "Promoted", {"deployment": "d", "model": "m", "before": {}, "after": after, "reason": ""}, 8)
    assert facts_of(*WHOLE, moved).champions == [2]
    retired = fact(32, "Retired", {"deployment": "d", "model": "m", "before": after, "reason": ""}, 9)
    assert facts_of(*WHOLE, moved, retired).live == {}
    assert moved.recorded - retired.recorded == timedelta(days=-1)
